"""What policy files may refer to in the settings. Apart from the composition root, so that tools start quickly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.config.evidence import all_introspect
from extauthz.policy.compile import PolicyContext, ProfileFace
from extauthz.server.plugins import load_plugins

if TYPE_CHECKING:
    from extauthz.config.settings import Settings


def policy_context(settings: Settings) -> PolicyContext:
    """Return what policy may refer to in the settings; plug-ins are compared with their pins and imported.

    Raises:
        ConfigError: a plug-in is not what is pinned, or cannot be used.
    """
    profiles = {
        name: ProfileFace(
            audience=profile.audience,
            realm=profile.realm,
            api_key_header=profile.api_keys.header if profile.api_keys is not None else "",
            proof_algorithms=profile.dpop.algorithms if profile.dpop is not None else (),
            certificates=bool(profile.certificates.accept),
            introspects=all_introspect(settings, profile),
            metadata_url=profile.metadata_url,
        )
        for name, profile in settings.profiles.items()
    }
    return PolicyContext(
        profiles=profiles,
        acr=settings.acr,
        spends=settings.state is not None,
        plugins=load_plugins(settings.plugins),
        decision_points=tuple(settings.decision_points),
        enforced_namespaces=settings.enforced_namespaces,
    )
