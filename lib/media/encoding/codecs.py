"""Which codec and encoder a video file gets, and their settings."""

from __future__ import annotations

import io
import logging
import os
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
from av.codec.context import Flags

from lib.errors import FaceswapError
from lib.files.names import VIDEO_FORMATS
from lib.media.base import LARGE, PQ, FrameSource
from lib.media.encoding.stream_copy import EDIT_LISTS
from lib.media.samples import LIMITED
from lib.media.video.colours import BT601, BT709, Colours
from lib.media.video.video_source import VideoSource
from lib.system import device

logger = logging.getLogger(__name__)
ENCODERS = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1", "vp9": "libvpx-vp9",
            "prores": "prores_ks", "ffv1": "ffv1", "h264rgb": "libx264rgb"}
ON_A_CHIP = ("h264", "hevc", "av1")  # whose encoders are called CODEC_nvenc, CODEC_qsv and so on
CHIPS = ("_nvenc", "_qsv", "_amf", "_videotoolbox")
GLOBAL_HEADER = 0x40  # AVFMT_GLOBALHEADER: the container keeps apart what decoders need first
# keep 10 bits; most builds of VP9's encoder do not
DEEP = ("hevc", "h264", "av1", "prores", "ffv1")
HEVC_HOLDERS = ("mp4", "mov", "matroska", "mpegts")
WITHOUT_B_FRAMES = ("avi", "flv", "asf", "nut")  # AVI knows one order; the others would begin later
TRANSPARENT = ("prores", "ffv1")  # codecs that keep transparency
PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower",
           "veryslow")
SVT_PRESETS = dict(zip(PRESETS, (12, 11, 10, 9, 8, 7, 5, 4, 3)))
NVENC_PRESETS = dict(zip(PRESETS, ("p1", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p7")))
QSV_PRESETS = dict(zip(PRESETS, ("veryfast", "veryfast", *PRESETS[2:])))
YUV = ("yuv", "nv12", "p010")
AVX512 = 256  # OpenCV's number of that ability of processors
# With AVX-512, x264's macroblock tree now and then makes another file of the same frames
REPEATABLE = "asm=avx2"
SPARING = "sync-lookahead=0"  # with a thread for each core: fewer frames are held at a time


@dataclass(frozen=True)
class VideoEncoding:
    """How the frames of `source` are encoded into the file `path`."""

    path: Path
    source: FrameSource
    container: str  # FFmpeg's name of the format
    codec: str
    encoder: str
    crf: int
    preset: str
    rate: Fraction  # frames a second
    time_base: Fraction  # seconds, the unit of times
    deep: bool  # more than 8 bits
    transparent: bool
    keeps_fields: bool  # of interlaced video only the new faces are whole pictures

    @classmethod
    def choose(cls, path: Path, source: FrameSource, codec: str, hardware: str, crf: int,
               preset: str,
               rate: float, keep_interlaced: bool) -> VideoEncoding:
        """Resolves codec "auto", and tells what is lost.

        `rate` is that of pictures. Raises FaceswapError where codec, container, hardware and source
        do not fit.
        """
        if path.suffix.lower() not in VIDEO_FORMATS:
            raise FaceswapError(f"{path} does not end like a video. Choose one of "
                                f"{', '.join(sorted(VIDEO_FORMATS))}.")
        container = VIDEO_FORMATS[path.suffix.lower()]
        video = source if isinstance(source, VideoSource) else None

        # Codec
        deep = video is not None and video.depth > 8
        if codec == "auto" and container == "webm":
            codec = "av1" if deep else "vp9"
        elif codec == "auto":  # players know 10 bits of HEVC, hardly of H.264
            codec = "hevc" if deep and container in HEVC_HOLDERS else "h264"
        encoder = ENCODERS[codec]
        if hardware != "none":
            if codec not in ON_A_CHIP:
                raise FaceswapError(f"--writer.hardware is for {', '.join(ON_A_CHIP)}, not for "
                                    f"{codec}. Leave one of them out.")
            encoder = f"{codec}_{hardware}"

        # Clock
        if video:
            frame_rate, time_base = video.rate or Fraction(25), video.time_base
        else:
            frame_rate = Fraction(rate).limit_denominator(1001)
            time_base = 1 / frame_rate
        if container == "avi":  # holds one steady rate; a missing frame is an empty packet
            time_base = 1 / (video and video.steady_rate or frame_rate)

        encoding = cls(path, source, container, codec, encoder, crf, preset, frame_rate, time_base,
                       deep and codec in DEEP, video is not None and video.transparent,
                       video is not None and keep_interlaced and video.interlaced)
        return encoding._checked(video) if video else encoding

    def _checked(self, video: VideoSource) -> VideoEncoding:
        """As it can be done. Raises FaceswapError for what cannot, and tells what is lost."""
        layout, name, codec = self.layout(video.size), video.path.name, self.codec
        if self.hdr_video and not (self.deep and codec in ("hevc", "av1")):
            raise FaceswapError(f"{video.path} is HDR video (HDR10), which {codec} in "
                                f"{self.path.suffix} does not keep. Choose --writer.codec hevc or "
                                "av1 and .mkv, .mp4 or .mov, or convert the input to SDR first.")
        if self.keeps_fields and (self.encoder != "libx264" or not video.cuts
                                  or video.layout != layout):
            raise FaceswapError(f"The fields of {video.path} cannot be kept: that needs H.264, and "
                                "video in 4:2:0 that is neither turned nor stretched. Choose "
                                "--writer.codec h264, or leave out --keep-interlaced.")
        if video.tone and not layout.startswith(YUV):
            logger.warning("%s is HDR video, which %s does not keep: it becomes SDR, tone-mapped.",
                           name, codec)
        if self.transparent and codec not in TRANSPARENT:
            shown = "on white" if video.on_white else "as if it were not"
            logger.warning("%s is transparent in places, which %s does not keep: there it is seen "
                           "%s. ffv1 (.mkv) and prores (.mov) keep it.", name, codec, shown)
            return replace(self, transparent=False)
        return self

    @property
    def video(self) -> VideoSource | None:
        """The source, where it is a video."""
        return self.source if isinstance(self.source, VideoSource) else None

    @property
    def hdr_video(self) -> VideoSource | None:
        """The source, where it is HDR10 video."""
        return self.video if self.video and self.video.colours.transfer == PQ else None

    def check_container(self) -> None:
        """Raises FaceswapError where the container cannot hold what the encoder makes."""
        container = av.open(io.BytesIO(), "w", format=self.container)
        try:
            container.add_stream(self.encoder, rate=25)
        except ValueError as error:
            raise FaceswapError(f"{self.path.suffix} cannot hold {self.encoder}. Choose another "
                                "--writer.codec or another ending: .mkv holds "
                                "everything.") from error

    def configure(self, context: av.VideoCodecContext, size: tuple[int, int]) -> None:
        """Sets up an encoder for frames of `size` (width, height)."""
        os.environ.setdefault("SVT_LOG", "1")  # errors alone
        context.time_base, context.framerate = self.time_base, self.rate.limit_denominator(1 << 16)
        context.width, context.height = size
        context.thread_type = "AUTO"
        context.pix_fmt = self.layout(size)
        if context.pix_fmt.startswith(YUV):
            self.colours(size).tag(context)
        if self.container in WITHOUT_B_FRAMES:
            context.max_b_frames = 0
        if self.codec == "hevc" and self.container in EDIT_LISTS:
            context.codec_tag = "hvc1"  # Apple's players take no other
        if av.ContainerFormat(self.container, "w").flags & GLOBAL_HEADER:
            context.flags |= Flags.global_header
        if self.keeps_fields:
            context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        context.options = self._options(size)

    def layout(self, size: tuple[int, int]) -> str:
        """How the encoder takes its samples, in FFmpeg's words."""
        if self.codec == "ffv1":
            return self.video.layout if self.deep else "bgra" if self.transparent else "bgr0"
        if self.codec == "h264rgb":
            return "rgb24"
        if self.codec == "prores":
            return "yuva444p10le" if self.transparent else "yuv422p10le"
        if self.encoder.endswith(CHIPS):
            return "p010le" if self.deep else "nv12"
        # x264 and x265 halve the colours of even sizes only; the size counts more than old players
        is_odd = size[0] % 2 or size[1] % 2
        chroma = "444p" if self.codec in ("h264", "hevc") and is_odd else "420p"
        return f"yuv{chroma}{'10le' if self.deep else ''}"

    def colours(self, size: tuple[int, int]) -> Colours:
        """Those of the source, untagged where it is, so that players show both alike.

        The usual ones for pictures and RGB.
        """
        if self.video and self.video.colours.matrix != 0:
            colours, matrix = self.video.colours, self.video.matrix
            # Of a turned, untagged video the new size would mislead players
            is_misleading = colours.assumed_matrix(size) != matrix
            return replace(colours, matrix=matrix) if is_misleading else colours
        matrix = Colours().assumed_matrix(size)
        usual = BT709 if matrix == BT709 else BT601
        return Colours(matrix, LIMITED, usual, usual)

    def _options(self, size: tuple[int, int]) -> dict[str, str]:
        options = encoder_options(self.encoder, self.crf, self.preset, self.transparent)
        hdr = self.hdr_video.hdr if self.hdr_video else None
        if self.encoder == "libx264":
            parameters = [REPEATABLE] * cv2.checkHardwareSupport(AVX512)
            if self.keeps_fields:
                parameters.append("tff=1" if self.video.top_first else "bff=1")
            if size[0] * size[1] >= LARGE:
                parameters.append(f"{SPARING}:threads={device.cores()}")
            return options | ({"x264-params": ":".join(parameters)} if parameters else {})
        if self.encoder == "libx265" and hdr:
            screen = f"master-display={hdr.x265}:max-cll={hdr.light}:hdr10=1:repeat-headers=1"
            return options | {"x265-params": f"{options['x265-params']}:{screen}"}
        if self.encoder == "libsvtav1" and hdr:
            screen = f"mastering-display={hdr.svt}:content-light={hdr.light}"
            return options | {"svtav1-params": screen}
        return options


def encoder_options(encoder: str, crf: int, preset: str,
                    transparent: bool = False) -> dict[str, str]:
    """FFmpeg's options of an encoder for that quality (0 to 51, lower is better) and speed."""
    quality, wide_quality = str(crf), str(round(crf * 63 / 51))  # of VP9 and AV1 63 is the worst
    match encoder:
        case "libx264":
            return {"crf": quality, "preset": preset}
        case "libx265":
            return {"crf": quality, "preset": preset, "x265-params": "log-level=error"}
        case "libx264rgb":
            return {"qp": "0", "preset": preset}
        case "libvpx-vp9":
            return {"crf": wide_quality, "b": "0", "deadline": "realtime", "cpu-used": "5",
                    "row-mt": "1"}
        case "libsvtav1":
            return {"crf": wide_quality, "preset": str(SVT_PRESETS[preset])}
        case "prores_ks" if transparent:
            return {"profile": "4444", "alpha_bits": "16", "vendor": "apl0"}
        case "prores_ks":
            return {"profile": "hq", "vendor": "apl0"}
        case "ffv1":
            return {"level": "3", "slices": "4", "slicecrc": "1"}
        case "mpeg2video" | "wmv2":
            return {"q": "2"}
    return {"nvenc": {"rc": "constqp", "qp": quality, "preset": NVENC_PRESETS[preset]},
            "qsv": {"global_quality": quality, "preset": QSV_PRESETS[preset]},
            "amf": {"rc": "cqp", "qp_i": quality, "qp_p": quality, "qp_b": quality},
            "videotoolbox": {"q": str(max(1, 100 - 2 * crf))},
            "vaapi": {"rc_mode": "CQP", "qp": quality}}[encoder.partition("_")[2]]
