"""What installed plug-ins offer, written as the settings that pin it: `extauthz config --plugins`."""

from __future__ import annotations

import yaml

from extauthz.server.plugins import PluginError, digest_of, find_offers


def offers_page() -> str:
    """Return settings that pin every kind of requirement that is offered; nothing is imported.

    What cannot be pinned stands there as a comment that says why.
    """
    pins, faults = [], []
    for offer in find_offers():
        try:
            digest = digest_of(offer.source)
        except PluginError as error:
            faults.append(f"# {offer.kind}: {error.message} — {error.fix}\n")
            continue
        pins.append(
            {"kind": offer.kind, "distribution": offer.distribution, "version": offer.version, "sha256": digest}
        )
    return yaml.safe_dump({"plugins": pins}, sort_keys=False) + "".join(faults)
