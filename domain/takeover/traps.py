"""Settings of the origin that mean something else here, or nothing."""

from collections.abc import Mapping

_NO_EFFECT = "Nothing here corresponds to it. It is left out."
_DOCUMENTED = "The documents of the origin name it, and nothing there reads it."

TRAPS: Mapping[str, str] = {
    "HOST": (
        "It is the same setting. Off loopback AUTH must be set here: none lets everybody call, as the origin does; "
        "required needs API keys or tokens, and an owner for each session (--owner)."
    ),
    "PORT": "The clients keep this port, so it becomes ORIGIN_PORT. PORT is that of the own API, and must differ.",
    "DATABASE_URL": (
        "It becomes TAKEOVER_SOURCE_URL. As DATABASE_URL it would name the database of the origin, whose schema meta "
        "is taken: the service refuses to migrate it. The origin splits the URL by hand. It decodes no %-escapes, "
        "takes ?... for a part of the database's name, and uses no TLS. The converted URL has such characters escaped."
    ),
    "DATABASE_URL_FILE": (
        "It becomes TAKEOVER_SOURCE_URL too. If DATABASE_URL is set beside it, the origin uses DATABASE_URL; here both "
        "together are an error."
    ),
    "REDIS_URL": (
        "Only generation 1, the releases before 2025-07-15, keeps sessions there; later ones demand the setting and "
        "never connect. If `pglambda takeover plan` finds generation 1, it becomes TAKEOVER_REDIS_URL (--with-redis)."
    ),
    "REDIS_URL_FILE": "As REDIS_URL. If both are set, the origin uses REDIS_URL.",
    "REDIS_CACHE_URL": "Nothing in the origin reads it. It is left out.",
    "REDIS_CACHE_URL_FILE": "Nothing in the origin reads it. It is left out.",
    "SESSION_EXPIRY_SECONDS": (
        "It is the same setting. A value above SESSION_MAX_LIFETIME_SECONDS (2,592,000 by default) raises that too. "
        "Above 31,622,400 the service does not start."
    ),
    "RUNTIME_TIMEOUT_SECONDS": (
        "It becomes SCRIPT_TIMEOUT_MS, in milliseconds, and raises SCRIPT_TIMEOUT_MAX_MS if need be. The same name "
        "means something else here: what a runtime host may take beyond the limit of the script."
    ),
    "SCRIPT_TIMEOUT_MS": (
        "In the runtime for Node.js it covers the start of a script alone, so it limited nothing. It is left out: here "
        "the name is the limit of an execution, which comes from RUNTIME_TIMEOUT_SECONDS."
    ),
    "RUNTIME_FALLBACK_TIMEOUT_SECONDS": "Nothing that runs in the origin reads it. It is left out.",
    "RUNTIME_MAX_RETRIES": (
        "The origin runs a script again after a timeout, up to five times in all. Here a script runs once. It is left "
        "out."
    ),
    "WASM_COMPILE_TIMEOUT_SECONDS": "Nothing that runs in the origin reads it. It is left out.",
    "CACHE_TTL_SECONDS": _NO_EFFECT,
    "KUBERNETES_NAMESPACE": _NO_EFFECT,
    "OPENFAAS_GATEWAY_URL": (
        "The origin tries this gateway first, and then runs the script again in its container. Nothing corresponds to "
        "it here. It is left out."
    ),
    "NODEJS_RUNTIME_URL": (
        "The same name here means hosts that run scripts. Kept, it demands RUNTIME_TOKEN, and runs scripts in the "
        "containers of the origin, without a sandbox. It is left out: scripts run in the sandbox of this host."
    ),
    "PYTHON_RUNTIME_URL": (
        "As NODEJS_RUNTIME_URL. Set it on purpose if scripts need the network, files or packages that the sandbox does "
        "not have, and only until their sessions have ended."
    ),
    "RUST_RUNTIME_URL": (
        "Rust is not served here, and the runtime of the origin answers with a fixed object. Such sessions stay with "
        "the origin, and the front passes their calls on."
    ),
    "MAX_SCRIPT_SIZE": "It is the same setting, from 1 to 67,108,864 bytes.",
    "RUNTIME_SELECTION_STRATEGY": (
        "Only the value config has an effect. Any other value, also PrefixMatching or ConfigurationBased, makes the "
        "origin choose by the prefixes nodejs-, python- and rust-."
    ),
    "RUNTIME_MAPPINGS_FILE": (
        "The file has another format here, and the service refuses to start with the old one. It is converted. At "
        "ORIGIN_PORT its rules come first, as in the origin. At PORT the prefixes nodejs- and python- do: "
        "python-nodejs-x is Python there, whatever a rule says."
    ),
    "LOG_LEVEL": "Its values are debug, info, warning and error here. The controller of the origin ignores it.",
    "RUST_LOG": "The controller of the origin logs everything whatever it says. LOG_LEVEL is the setting here.",
    "NODE_ENV": "It becomes SCRIPT_NODE_ENV, which scripts of the convention origin see as process.env.NODE_ENV.",
    "PYTHON_ENV": "Nothing in the origin reads it. It is left out.",
    "RUST_ENV": "Nothing in the origin reads it. It is left out.",
    "DB_LOGGING_ENABLED": (
        "Only runtimes with DB_CONNECTION_STRING write the log that it turns on. Here the history has every execution; "
        "HISTORY=summary keeps params and results out."
    ),
    "DB_CONNECTION_STRING": "It is the database for the log of a runtime. It is left out.",
    "POSTGRES_URL": f"{_DOCUMENTED} DATABASE_URL is the setting.",
    "CACHE_TTL": f"{_DOCUMENTED} No result is cached, there or here.",
    "REQUEST_TIMEOUT": f"{_DOCUMENTED} REQUEST_TIMEOUT_MS here is the budget of a request without its script.",
    "METRICS_PORT": f"{_DOCUMENTED} Here it is a port for /metrics alone, so it is kept.",
    "WORKER_THREADS": f"{_DOCUMENTED} WEB_CONCURRENCY here is the number of processes.",
}
"""What an operator has to know about each setting of the origin."""
