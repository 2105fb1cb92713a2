"""
The service that other systems call (`aftersales serve`): a payment provider, a carrier, and the shop's own systems.

It listens on 127.0.0.1; whoever must be reached from outside puts a proxy with TLS before it.
"""

from __future__ import annotations
