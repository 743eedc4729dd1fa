"""The one that writes: whatever is taken away from somebody goes through the keeper of its machine.

It commits, has every worker say that it decides by it, and only then says that it is done. It trusts nobody who asks.
"""
