"""Pictures drawn by arithmetic: small structured test images and one photo-like scene. Shapes, not noise."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter


def _ellipse(yy, xx, cy, cx, ry, rx, turn=0.0):
    """Signed field: > 0 inside the ellipse, 1 at its centre."""
    dy, dx = yy - cy, xx - cx
    u = np.cos(turn) * dx + np.sin(turn) * dy
    v = np.cos(turn) * dy - np.sin(turn) * dx
    return 1.0 - (u / rx) ** 2 - (v / ry) ** 2


def shapes(width, height, seed):
    """uint8 [H,W,3]: a shaded background, two ellipses, a box and a band; the seed moves and recolours
    them."""
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[0:height, 0:width].astype(np.float64)
    y, x = (yy + 0.5) / height, (xx + 0.5) / width
    low, high = rng.uniform(30, 110, 3), rng.uniform(120, 220, 3)
    slope = rng.uniform(-1, 1, 2)
    ramp = np.clip(0.5 + slope[0] * (y - 0.5) + slope[1] * (x - 0.5), 0, 1)[..., None]
    image = low + (high - low) * ramp
    for _ in range(2):
        field = _ellipse(y, x, *rng.uniform(0.25, 0.75, 2), *rng.uniform(0.12, 0.3, 2), rng.uniform(0, 3))
        colour = rng.uniform(0, 255, 3)
        image = np.where(field[..., None] > 0, colour * (0.6 + 0.4 * np.clip(field, 0, 1)[..., None]), image)
    top, left = rng.uniform(0.05, 0.5, 2)
    inside = (y > top) & (y < top + 0.35) & (x > left) & (x < left + 0.3)
    image = np.where(inside[..., None], rng.uniform(0, 255, 3), image)
    band = np.abs(y + x * rng.uniform(-0.6, 0.6) - rng.uniform(0.4, 0.8)) < 0.05
    image = np.where(band[..., None], rng.uniform(0, 255, 3), image)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _ball(image, yy, xx, cy, cx, radius, colour):
    """A shaded ball with its highlight, and its soft shadow on the table."""
    shadow = np.exp(
        -(((xx - cx - 0.5 * radius) / (1.3 * radius)) ** 2 + ((yy - cy - radius) / (0.35 * radius)) ** 2)
    )
    image *= 1.0 - 0.55 * shadow[..., None]
    r2 = ((xx - cx) ** 2 + (yy - cy) ** 2) / radius**2
    z = np.sqrt(np.clip(1 - r2, 0, 1))
    light = np.clip(-0.45 * (xx - cx) / radius - 0.6 * (yy - cy) / radius + 0.66 * z, 0, 1)
    shaded = np.array(colour) * (0.25 + 0.75 * light[..., None]) + 255 * (light[..., None] ** 24) * 0.7
    cover = np.clip((1 - np.sqrt(r2)) * radius + 0.5, 0, 1)[..., None]
    image[:] = image * (1 - cover) + shaded * cover


def scene(width=320, height=240, seed=7):
    """uint8 [H,W,3]: a table by a window with two balls, a mug and a book; grain and a slight blur as in
    a photograph."""
    rng = np.random.default_rng(seed)
    scale = 2
    w, h = width * scale, height * scale
    yy, xx = np.mgrid[0:h, 0:w].astype(np.float64)
    edge = 0.52 * h
    wall = np.array([176, 186, 178]) * (0.65 + 0.45 * np.exp(-((xx / w - 0.2) ** 2) * 5))[..., None]
    grain = 9 * np.sin(yy * 0.9 / scale + 6 * np.sin(xx * 0.006)) + 5 * np.sin(xx * 0.05 + yy * 0.31)
    wood = np.array([150, 103, 62]) * (1.15 - 0.35 * (yy - edge) / h)[..., None] + grain[..., None]
    image = np.where((yy > edge)[..., None], wood, wall)
    canvas = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(canvas)
    pen.rectangle(
        [0.07 * w, 0.05 * h, 0.33 * w, 0.40 * h], fill=(226, 236, 244), outline=(96, 80, 70), width=8
    )
    pen.line([0.20 * w, 0.05 * h, 0.20 * w, 0.40 * h], fill=(96, 80, 70), width=6)
    pen.polygon(
        [(0.07 * w, 0.80 * h), (0.30 * w, 0.72 * h), (0.40 * w, 0.86 * h), (0.15 * w, 0.96 * h)],
        fill=(44, 74, 120),
    )
    pen.polygon(
        [(0.15 * w, 0.96 * h), (0.40 * w, 0.86 * h), (0.40 * w, 0.89 * h), (0.15 * w, 0.99 * h)],
        fill=(230, 224, 208),
    )
    image = np.asarray(canvas, dtype=np.float64).copy()
    _ball(image, yy, xx, 0.60 * h, 0.30 * w, 0.105 * h, (208, 52, 40))
    _ball(image, yy, xx, 0.74 * h, 0.84 * w, 0.14 * h, (222, 160, 42))
    left, right, top, low = 0.52 * w, 0.68 * w, 0.38 * h, 0.72 * h
    handle = np.abs(np.hypot((xx - right) / 1.0, (yy - 0.53 * h) / 1.2) - 0.085 * h) < 0.022 * h
    image[handle & (xx > right - 4)] = (52, 96, 104)
    side = (xx - left) / (right - left)
    body = (side > 0) & (side < 1) & (yy > top) & (yy < low + 14 * np.sin(np.pi * np.clip(side, 0, 1)))
    shade = (0.45 + 0.75 * np.exp(-((side - 0.3) ** 2) * 9))[..., None]
    image = np.where(body[..., None], np.array([70, 134, 142]) * shade, image)
    rim = _ellipse(yy, xx, top, (left + right) / 2, 0.032 * h, (right - left) / 2)
    image = np.where(
        (rim > 0)[..., None], np.array([40, 60, 62]) * (1 + 0.3 * np.clip(rim, 0, 1))[..., None], image
    )
    image += rng.normal(0, 5, image.shape)
    canvas = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1.2))
    return np.asarray(canvas.resize((width, height), Image.LANCZOS))
