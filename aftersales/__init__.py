"""After-sales processes of Chinese e-commerce shops, told as Prefect flows: this package is the rulebook."""
