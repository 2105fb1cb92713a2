"""
What people fill in: Prefect draws the forms from these models.
"""
