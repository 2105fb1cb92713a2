"""
The service that other systems call: today only what a payment provider and a carrier tell us (`aftersales serve`).

It listens on 127.0.0.1; whoever must be reached from outside puts a proxy with TLS before it.
"""

from __future__ import annotations
