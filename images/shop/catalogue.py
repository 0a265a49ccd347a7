"""What the shop sells: fixed, so that every instance and every run offers the same."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Product:
    slug: str
    name: str
    category: str
    price_cents: int
    about: str
    colour: str  # of its picture


CATALOGUE = {
    product.slug: product
    for product in (
        Product("kettle", "Kettle", "Kitchen", 3490, "Boils one litre in two minutes and says so.", "#c8553d"),
        Product("teapot", "Teapot", "Kitchen", 2450, "Four cups. Not a coffee pot: ask it, it answers 418.", "#588157"),
        Product("mug", "Mug", "Kitchen", 890, "Large enough for a round trip to the library.", "#e09f3e"),
        Product("toaster", "Toaster", "Kitchen", 2990, "Two slices in parallel, the next two pipelined.", "#6d597a"),
        Product("atlas", "Atlas", "Books", 4200, "All the places a packet may pass.", "#335c67"),
        Product("cookbook", "Cookbook", "Books", 1995, "Recipes, most of them for cookies.", "#9e2a2b"),
        Product("novel", "Novel", "Books", 1250, "Two peers, one tracker, no happy end.", "#540b0e"),
        Product("dictionary", "Dictionary", "Books", 2780, "Names on the left, addresses on the right.", "#3a5a40"),
        Product("spade", "Spade", "Garden", 1840, "For laying cables.", "#7f5539"),
        Product("lantern", "Lantern", "Garden", 1590, "Keeps a light on until the time-out.", "#ee9b00"),
        Product("birdhouse", "Bird house", "Garden", 2200, "For carriers of RFC 1149.", "#0a9396"),
        Product("hose", "Hose", "Garden", 1999, "Twenty metres; mind the bandwidth-delay product.", "#606c38"),
        Product("lamp", "Desk lamp", "Desk", 3900, "Bright enough for the small print of a header.", "#bc6c25"),
        Product("notebook", "Notebook", "Desk", 650, "Stateful, unlike some protocols.", "#457b9d"),
        Product("pen", "Pen", "Desk", 480, "Writes once, reads many.", "#1d3557"),
        Product("clock", "Clock", "Desk", 2750, "Right to the millisecond, jitter not included.", "#b56576"),
    )
}


def siblings(product: Product) -> list[Product]:
    """The other products of the same category."""
    return [other for other in CATALOGUE.values() if other.category == product.category and other != product]
