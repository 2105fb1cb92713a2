"""
How orders of other systems are read: mappings as data, files as rows, rows as whole orders.

Nothing here knows the database or the clock; `aftersales.store.orders` takes what comes out.
"""
