"""The scene maker: drawn American suburbs seen from above, with the exact boxes of their swimming pools."""

from .files import write_scene, write_scene_dataset
from .scene import Scene, draw_scene

__all__ = ["Scene", "draw_scene", "write_scene", "write_scene_dataset"]
