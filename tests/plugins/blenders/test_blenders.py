import numpy as np
import pytest

from lib.plugin import BLENDERS


@pytest.fixture(params=BLENDERS.names())
def blender(request):
    return BLENDERS.create(request.param)


@pytest.fixture(scope="module", params=[np.uint8, np.uint16])
def region(request, astronaut) -> np.ndarray:
    view = astronaut[:200, 100:350]  # of the frame, as the compositor hands it over
    return view if request.param == np.uint8 else view.astype(np.uint16) * 257 + np.arange(250, dtype=np.uint16)[None, :, None] % 200


def ramp(region) -> np.ndarray:
    """(H, W, 1): 0 in the left third, 1 in the right third."""
    height, width = region.shape[:2]
    row = np.clip(np.linspace(-1, 2, width), 0, 1).astype(np.float32)
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (height, width, 1)))


def test_pixels_where_the_mask_is_zero_come_back_unchanged(blender, region):
    mask = ramp(region)
    face = np.random.default_rng(1).integers(0, np.iinfo(region.dtype).max, region.shape, region.dtype)
    result = blender.blend(region, face, mask)
    assert result.shape == region.shape and result.dtype == region.dtype
    outside = mask[..., 0] == 0
    assert outside.any() and (result[outside] == region[outside]).all()


def test_the_region_itself_is_not_changed(blender, region):
    before = region.copy()
    blender.blend(region, np.zeros_like(region), ramp(region))
    assert (region == before).all()


def test_the_frame_blended_with_itself_is_the_frame(blender, region):
    result = blender.blend(region, region, ramp(region))
    assert np.abs(result.astype(int) - region).max() <= 1


def test_alpha_is_the_weighted_mean(region):
    mask = ramp(region)
    face = np.full_like(region, np.iinfo(region.dtype).max // 4)
    wanted = region * (1 - mask) + face * mask
    assert np.abs(BLENDERS.create("alpha").blend(region, face, mask) - wanted).max() <= 1


def test_pyramid_fades_light_over_more_than_the_feather_and_keeps_detail(region):
    """Where face and frame differ in light alone, the steepest step is less than alpha's; a pattern of the face stays inside."""
    most = np.iinfo(region.dtype).max
    plain = np.full_like(region, most * 0.4)
    mask = np.zeros((*region.shape[:2], 1), np.float32)
    mask[40:160, 60:190] = 1
    steps = [np.abs(np.diff(BLENDERS.create(name).blend(plain, np.full_like(region, most * 0.6), mask)[100, :, 0].astype(int))).max() / most
             for name in ("alpha", "pyramid")]
    assert steps[0] > 0.19 and steps[1] < 0.75 * steps[0]
    stripes = 0.5 + 0.1 * (np.arange(region.shape[1]) // 2 % 2 * 2 - 1)
    face = np.ascontiguousarray(np.broadcast_to(stripes[None, :, None] * most, region.shape)).astype(region.dtype)
    middle = BLENDERS.create("pyramid").blend(plain, face, mask)[90:110, 110:140].astype(int)
    assert np.abs(np.diff(middle, axis=1)).max() / most == pytest.approx(0.2, abs=0.03)


def test_poisson_takes_the_light_of_what_is_around(astronaut):
    original = np.ascontiguousarray(astronaut[:256, 100:356] / np.float32(255))
    mask = np.zeros((256, 256, 1), np.float32)
    mask[60:200, 60:200] = 1
    poisson = BLENDERS.create("poisson")
    for added in (-0.1, 0.0, 0.15):
        joint = poisson.measure(np.clip(original * 0.6 + 0.2 + added, 0, 1), original * 0.6 + 0.2, mask)
        assert joint.dtype == np.float32 and joint.shape[2] == 3
        assert np.abs(joint[10:23, 10:23] + added).max() < 0.02


def test_poisson_leaves_alone_what_is_too_small(astronaut):
    original = np.ascontiguousarray(astronaut[:128, 100:228] / np.float32(255))
    for size in (0, 1, 4):
        mask = np.zeros((128, 128, 1), np.float32)
        mask[60:60 + size, 60:60 + size] = 1
        assert BLENDERS.create("poisson").measure(original, original, mask) is None
