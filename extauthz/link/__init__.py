"""Questions and answers between our own processes, over Unix sockets that only their owner can reach.

One JSON object asks, one answers, in order, on connections that last. Nothing here knows what they mean.
"""
