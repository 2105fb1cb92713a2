"""
The customer's page (`aftersales page`): where a return stands, a new application, and the survey (SLF-01 to SLF-03, SVY-03).

It listens on 127.0.0.1; whoever shows it to customers puts a proxy with TLS before it (docs/handbook/page.md).
"""

from __future__ import annotations
