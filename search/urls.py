from django.urls import path

from search.web import views

app_name = "search"
urlpatterns = [
    path("about/", views.about, name="about"),
    path("privacy/", views.privacy, name="privacy"),
    path("search/", views.ask, name="ask"),
    path("search/<uuid:pk>/", views.results, name="results"),
    path("search/<uuid:pk>/picture.jpg", views.picture, name="picture"),
    path("search/<uuid:pk>/forget/", views.forget, name="forget"),
]
