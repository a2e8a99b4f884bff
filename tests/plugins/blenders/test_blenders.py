import numpy as np
import pytest

from lib.plugin import BLENDERS


@pytest.fixture(params=BLENDERS.names())
def blender(request):
    return BLENDERS.create(request.param)


@pytest.fixture(scope="module")
def region(astronaut) -> np.ndarray:
    return astronaut[:200, 100:350]  # a view of the frame, as the compositor hands it over


def ramp(region) -> np.ndarray:
    """(H, W, 1): 0 in the left third, 1 in the right third."""
    height, width = region.shape[:2]
    row = np.clip(np.linspace(-1, 2, width), 0, 1).astype(np.float32)
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (height, width, 1)))


def test_pixels_where_the_mask_is_zero_come_back_unchanged(blender, region):
    mask = ramp(region)
    face = np.random.default_rng(1).random(region.shape, np.float32)
    result = blender.blend(region, face, mask)
    assert result.shape == region.shape and result.dtype == np.uint8
    outside = mask[..., 0] == 0
    assert outside.any() and (result[outside] == region[outside]).all()


def test_the_region_itself_is_not_changed(blender, region):
    before = region.copy()
    blender.blend(region, np.zeros(region.shape, np.float32), ramp(region))
    assert (region == before).all()


def test_the_frame_blended_with_itself_is_the_frame(blender, region):
    result = blender.blend(region, region / np.float32(255), ramp(region))
    assert np.abs(result.astype(int) - region).max() <= 1


def test_alpha_is_the_weighted_mean(region):
    mask = ramp(region)
    face = np.full(region.shape, 0.25, np.float32)
    wanted = region * (1 - mask) + 255 * face * mask
    assert np.abs(BLENDERS.create("alpha").blend(region, face, mask) - wanted).max() <= 1
