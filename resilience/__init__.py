"""How the site treats services that fail: a circuit breaker, retries, and objects that do not survive a fork."""
