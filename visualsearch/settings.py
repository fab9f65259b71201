"""The one settings file. Every variable comes from the environment; none has to be set on one machine.

`docs/settings.md` lists the variables. A wrong value stops the start with a sentence that names its variable.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent


class Env(environ.Env):  # type: ignore[misc]
    """django-environ, with errors that name the variable and say what was expected."""

    def get_value(self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET, **kwargs: Any) -> Any:
        try:
            return super().get_value(var, cast, default, **kwargs)
        except (ValueError, TypeError) as error:
            kind = {int: "a whole number", float: "a number"}.get(cast, "a valid value")
            value = os.environ.get(var, "")
            raise ImproperlyConfigured(
                f"The environment variable {var} is {value!r}, which is not {kind}."
            ) from error

    def truth(self, var: str, *, default: bool) -> bool:
        value = str(self.str(var, default=str(default))).strip().lower()
        if value in {"1", "true", "yes", "on"}:
            return True
        if value in {"0", "false", "no", "off", ""}:
            return False
        raise ImproperlyConfigured(f"The environment variable {var} is {value!r}; use true or false.")

    def at_least(self, var: str, minimum: int, *, default: int) -> int:
        value = int(self.int(var, default=default))
        if value < minimum:
            raise ImproperlyConfigured(
                f"The environment variable {var} is {value}; it must be at least {minimum}."
            )
        return value


env = Env()

# State ------------------------------------------------------------------------------------------------------

DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / "var"))).resolve()
try:
    DATA_DIR.mkdir(parents=True, exist_ok=True)
except OSError as error:
    raise ImproperlyConfigured(
        f"The environment variable DATA_DIR is {str(DATA_DIR)!r}, where no folder can be made: {error.strerror}."
    ) from error


def _generated_secret_key() -> str:
    """The key kept in DATA_DIR, made on the first start and readable by its owner alone."""
    path = DATA_DIR / "secret_key"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        key = secrets.token_urlsafe(50)
        file.write(key)
    return key


SECRET_KEY = env.str("SECRET_KEY", default="") or _generated_secret_key()

# The site ---------------------------------------------------------------------------------------------------

DEBUG = env.truth("DEBUG", default=False)
HTTPS = env.truth("HTTPS", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
SHOP_NAME = env.str("SHOP_NAME", default="Lookalike")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "tree_queries",
    # Before `catalogue`: its `import_catalogue` and `load_demo` index what the catalogue's have imported.
    "search",
    "catalogue",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "visualsearch.urls"
WSGI_APPLICATION = "visualsearch.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "catalogue.context_processors.shop",
            ],
        },
    },
]

# Database and cache -----------------------------------------------------------------------------------------

DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'db.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # WAL lets pages read while the worker writes; IMMEDIATE makes writers queue instead of failing half-way.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": (
            "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA mmap_size=134217728;"
            "PRAGMA journal_size_limit=27103364;PRAGMA cache_size=-8000;"
        ),
    }
    DATABASES["default"]["CONN_MAX_AGE"] = None
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "cache",
        "OPTIONS": {"MAX_ENTRIES": 20_000},
    }
}

# Files ------------------------------------------------------------------------------------------------------

MEDIA_URL = "/media/"
MEDIA_ROOT = DATA_DIR / "media"
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    # Shoppers' pictures: never under MEDIA_ROOT, served by a view that knows whether they still exist.
    "queries": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": DATA_DIR / "queries", "base_url": None},
    },
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# Pictures ---------------------------------------------------------------------------------------------------

IMAGE_MAX_BYTES = env.at_least("IMAGE_MAX_BYTES", 1_000, default=10_000_000)
IMAGE_MAX_PIXELS = env.at_least("IMAGE_MAX_PIXELS", 10_000, default=50_000_000)
IMAGE_MIN_SIDE = env.at_least("IMAGE_MIN_SIDE", 1, default=32)
# A picture as base64 in JSON is a third larger, and form fields come on top.
DATA_UPLOAD_MAX_MEMORY_SIZE = IMAGE_MAX_BYTES * 4 // 3 + 100_000
FILE_UPLOAD_MAX_MEMORY_SIZE = IMAGE_MAX_BYTES + 100_000

# The catalogue ----------------------------------------------------------------------------------------------

DEFAULT_CURRENCY = env.str("DEFAULT_CURRENCY", default="EUR")
if not (len(DEFAULT_CURRENCY) == 3 and DEFAULT_CURRENCY.isascii() and DEFAULT_CURRENCY.isupper()):  # noqa: PLR2004
    raise ImproperlyConfigured(
        f"The environment variable DEFAULT_CURRENCY is {DEFAULT_CURRENCY!r}; use three capital letters, as in EUR."
    )

# Search -----------------------------------------------------------------------------------------------------

EMBEDDERS: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "search.embedders.openvino.OpenVinoEmbedder",
        "OPTIONS": {
            "variant": env.str("EMBEDDER_VARIANT", default="lite0"),
            "cache_dir": DATA_DIR / "models",
        },
    }
}
VECTOR_INDEXES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "search.indexes.embedded.EmbeddedBackend",
        "OPTIONS": {"folder": DATA_DIR / "indexes"},
    }
}
QUERY_LIFETIME_HOURS = env.at_least("QUERY_LIFETIME_HOURS", 1, default=24)
SEARCH_RATE = env.str("SEARCH_RATE", default="60/min")

# API --------------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser", "rest_framework.parsers.MultiPartParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "visualsearch.problems.handler",
    "DEFAULT_THROTTLE_RATES": {"search": SEARCH_RATE},
    # Addresses in X-Forwarded-For are believed only as far as the site's own proxies wrote them.
    "NUM_PROXIES": env.at_least("NUM_PROXIES", 0, default=0),
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": f"{SHOP_NAME} API",
    "DESCRIPTION": "Find similar products with a picture.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# Language and time ------------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_I18N = True
USE_TZ = True

# Security ---------------------------------------------------------------------------------------------------

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
X_FRAME_OPTIONS = "DENY"

# Logging ----------------------------------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
}
