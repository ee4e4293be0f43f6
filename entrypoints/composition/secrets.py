"""What seals and opens secrets."""

from adapters.aes_gcm_sealer import AesGcmSealer
from domain.secrets.ports import Sealer
from entrypoints.settings.secrets import secret_keys
from entrypoints.settings.settings import Settings


def sealer(settings: Settings) -> Sealer | None:
    """Return what seals with the keys of the settings; None without any."""
    keys = secret_keys(settings)
    return AesGcmSealer.of(keys) if keys else None
