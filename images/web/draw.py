"""Draws the photographs of the site. It ran once and its output is kept: another Pillow would give other bytes.

    python3 draw.py site

Every picture stays under 13 000 bytes, so that one object with its header fits into TCP's initial window of
ten segments and a page load is not slowed by slow start; ten small ones together fit too.
"""

import math
import random
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT = 480, 320
SCALE = 2  # drawn twice as large, then reduced: smooth edges

SCENES = [  # name, sky above, sky below, ground, subject
    ("gate", "#7fb2e5", "#e8f1fa", "#6a9a4d", "tower"),
    ("library", "#f3c98b", "#fdf0dc", "#7f8f55", "columns"),
    ("bridge", "#5d7fb8", "#dfe7f5", "#3f6f9a", "bridge"),
    ("field", "#8cc6ec", "#eef7fc", "#4c9a4a", "pitch"),
    ("autumn", "#d9e2ea", "#f6f1e6", "#b08d4f", "trees"),
    ("lake", "#a9c9df", "#f4e3d3", "#5f86a6", "hills"),
    ("lab", "#30425f", "#7d8fae", "#3c4657", "windows"),
    ("winter", "#b9cbdc", "#f3f6f9", "#e9eef2", "snow"),
    ("evening", "#463a6b", "#f0a36b", "#3f4a3a", "hills"),
    ("night", "#0d1730", "#33456d", "#1e2a24", "stars"),
]


def rgb(text):
    return tuple(int(text[i : i + 2], 16) for i in (1, 3, 5))


def blend(a, b, share):
    return tuple(round(x + (y - x) * share) for x, y in zip(a, b, strict=True))


def backdrop(above, below, ground):
    image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE))
    draw = ImageDraw.Draw(image)
    horizon = int(HEIGHT * SCALE * 0.7)
    for y in range(HEIGHT * SCALE):
        if y < horizon:
            colour = blend(rgb(above), rgb(below), y / horizon)
        else:
            colour = blend(rgb(ground), (20, 25, 20), (y - horizon) / (HEIGHT * SCALE - horizon) * 0.5)
        draw.line([(0, y), (WIDTH * SCALE, y)], fill=colour)
    return image, draw, horizon


def tower(draw, horizon, dice):
    for x, width, height in ((150, 520, 170), (340, 140, 350)):
        x += dice.randrange(-30, 30)
        draw.rectangle([x, horizon - height, x + width, horizon + 30], fill=(176, 122, 92))
        eaves, top = horizon - height, (x + width // 2, horizon - height - 80)
        draw.polygon([(x - 16, eaves), (x + width + 16, eaves), top], fill=(96, 62, 60))
        for row in range(horizon - height + 40, horizon - 40, 70):
            for column in range(x + 25, x + width - 30, 60):
                draw.rectangle([column, row, column + 24, row + 36], fill=(60, 66, 84))
    draw.ellipse([380, horizon - 336, 440, horizon - 276], fill=(246, 240, 220), outline=(50, 50, 50), width=4)


def columns(draw, horizon, dice):
    draw.rectangle([170, horizon - 30, 800, horizon + 30], fill=(196, 186, 168))
    for x in range(200, 780, 82):
        stone = blend((226, 218, 202), (190, 178, 158), dice.random() * 0.5)
        draw.rectangle([x, horizon - 240, x + 34, horizon - 30], fill=stone)
    draw.rectangle([180, horizon - 270, 790, horizon - 238], fill=(214, 204, 186))
    draw.polygon([(160, horizon - 270), (810, horizon - 270), (485, horizon - 390)], fill=(200, 188, 168))


def pitch(draw, horizon, dice):
    white = (240, 245, 240)
    draw.polygon([(120, horizon + 20), (840, horizon + 20), (960, 620), (0, 620)], outline=white, width=5)
    draw.ellipse([390, horizon + 50, 570, horizon + 120], outline=white, width=5)
    draw.line([(480, horizon + 20), (480, 620)], fill=white, width=5)
    for x in range(0, 960, 40):
        top = horizon - dice.randrange(60, 110)
        draw.ellipse([x - 30, top, x + 60, horizon + 10], fill=(54, 110 + dice.randrange(30), 62))


def bridge(draw, horizon, dice):
    stone = (150, 140, 130)
    draw.rectangle([0, horizon - 90, 960, horizon - 60], fill=stone)
    for x in range(60, 960, 170):
        draw.rectangle([x, horizon - 70, x + 30, horizon + 60], fill=blend(stone, (90, 85, 80), dice.random()))
        draw.arc([x + 28, horizon - 66, x + 172, horizon + 90], 180, 360, fill=stone, width=14)
    for x in range(10, 960, 26):
        draw.line([(x, horizon - 110), (x, horizon - 88)], fill=stone, width=4)
    draw.line([(0, horizon - 110), (960, horizon - 110)], fill=stone, width=5)


def snow(draw, horizon, dice):
    for _ in range(16):
        x, base, size = dice.randrange(0, 960), horizon + dice.randrange(-10, 80), dice.randrange(40, 90)
        for step in range(3):
            top, half = base - size * (3 - step) * 0.7, size * (0.3 + 0.15 * step)
            needles = blend((46, 84, 70), (235, 241, 245), dice.random() * 0.5)
            draw.polygon([(x, top), (x - half, top + size * 0.95), (x + half, top + size * 0.95)], fill=needles)


def trees(draw, horizon, dice):
    for _ in range(14):
        x, base, size = dice.randrange(0, 960), horizon + dice.randrange(-10, 90), dice.randrange(50, 120)
        leaf = blend((190, 80, 40), (220, 180, 70), dice.random())
        draw.rectangle([x - 7, base - size, x + 7, base], fill=(84, 62, 48))
        draw.ellipse([x - size // 2, base - size * 2, x + size // 2, base - size // 2], fill=leaf)


def hills(draw, horizon, dice):
    for layer in range(4):
        phase, height = dice.random() * 6, 130 - 28 * layer
        ridge = [(x, horizon - height + 34 * math.sin(x / (95 + 25 * layer) + phase)) for x in range(0, 961, 12)]
        draw.polygon([*ridge, (960, horizon), (0, horizon)], fill=blend((120, 135, 150), (50, 70, 66), layer / 3))
    draw.ellipse([660, horizon - 270, 740, horizon - 190], fill=(255, 236, 190))


def windows(draw, horizon, dice):
    draw.rectangle([120, horizon - 360, 840, horizon + 40], fill=(54, 62, 76))
    for y in range(horizon - 335, horizon, 62):
        for x in range(145, 800, 62):
            draw.rectangle([x, y, x + 42, y + 38], fill=(250, 220, 140) if dice.random() < 0.55 else (30, 38, 52))


def stars(draw, horizon, dice):
    for _ in range(90):
        x, y, size = dice.randrange(960), dice.randrange(horizon), dice.randrange(2, 6)
        draw.ellipse([x, y, x + size, y + size], fill=(235, 235, 220))
    draw.ellipse([700, 60, 790, 150], fill=(240, 236, 214))
    tower(draw, horizon, dice)


def scene(number):
    name, above, below, ground, subject = SCENES[number]
    image, draw, horizon = backdrop(above, below, ground)
    globals()[subject](draw, horizon, random.Random(name))
    return image.resize((WIDTH, HEIGHT), Image.LANCZOS).filter(ImageFilter.SMOOTH)


def main(site):
    for number in range(len(SCENES)):
        picture = scene(number)
        picture.save(site / f"img/{number + 1:02}.jpg", quality=76, optimize=True)
        small = picture.resize((60, 40), Image.LANCZOS)
        small.save(site / f"small/{number + 1:02}.jpg", quality=50, optimize=True, subsampling=2)


main(Path(sys.argv[1]))
