from django.urls import path

from catalogue import converters, views  # noqa: F401 - registers `sku`

app_name = "catalogue"
urlpatterns = [
    path("", views.home, name="home"),
    path("products/", views.products, name="products"),
    path("products/<sku:sku>/", views.product, name="product"),
    path("categories/<str:slug>/", views.category, name="category"),
    path("media/<path:path>", views.media, name="media"),
]
