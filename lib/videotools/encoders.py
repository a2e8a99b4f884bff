"""ffmpeg's arguments for encoders, layouts of samples, colours, clocks and graphics cards."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av

from lib.errors import FaceswapError
from lib.media.encoding.codecs import (
    ENCODERS,
    HEVC_HOLDERS,
    ON_A_CHIP,
    TRANSPARENT,
    encoder_options,
)
from lib.media.encoding.stream_copy import EDIT_LISTS, SOUND
from lib.media.samples import chroma_between
from lib.media.video.colours import BT601, BT709
from lib.media.video.video_source import VideoSource
from lib.videotools import ffmpeg

logger = logging.getLogger(__name__)
# Matrices as filters call them, by FFmpeg's numbers
NAMES = {1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020nc"}
EXACT = "accurate_rnd+full_chroma_int"
JPEG_LAYOUT = "scale=out_color_matrix=bt601:out_range=full,format=yuvj444p"  # a filter
FFV1_HOLDERS = ("matroska", "avi", "mov", "nut")
# Containers in which B-frames are shuffled, or delay the beginning
WITHOUT_B_FRAMES = ("avi", "flv", "asf", "nut", "mpeg")
# Name -> what ffmpeg decodes with, the ending of its encoders, the filter before these
HARDWARE = {"cuda": ("cuda", "nvenc", ""),
            "videotoolbox": ("videotoolbox", "videotoolbox", ""),
            "qsv": ("qsv", "qsv", ""),
            "amf": ("d3d11va", "amf", ""),
            "vaapi": ("vaapi", "vaapi", "format=nv12,hwupload")}
SOUND_ENCODERS = {"aac": "aac", "flac": "flac", "opus": "libopus", "mp3": "libmp3lame",
                  "ac3": "ac3",
                  "mp2": "mp2"}
# Codecs for containers that do not hold H.264, or not its times
WITHOUT_H264 = {"webm": "vp9", "mpeg": "mpeg2video", "asf": "wmv2"}
# What containers hold that do not tell
HELD = {"mpegts": ("h264", "hevc", "mpeg2video", "mpeg4", "aac", "mp3", "mp2", "ac3", "eac3",
                   "opus"),
        "mpeg": ("mpeg2video", "mpeg1video", "mp2", "ac3")}
INTERLACED = ("h264", "h264rgb", "mpeg2video", "prores", "ffv1")  # codecs that keep fields
# FFmpeg's options whose names mean sound, too, without this ending
OPTIONS_OF_VIDEO = {"b": "b:v", "q": "q:v", "profile": "profile:v"}
CHROMA = {"h264": ("420", "422", "444"), "hevc": ("420", "422", "444")}  # of others 420 alone


@dataclass(frozen=True)
class Encoding:
    """How pictures are encoded."""

    codec: str = "auto"
    crf: int = 18
    preset: str = "veryfast"
    lossless: bool = False
    hardware: str = "none"  # a name in `HARDWARE`, "auto", or "none"
    on_chip: bool = False  # whether the hardware encodes, too

    def on_this_machine(self, encodes: bool = True) -> Encoding:
        """With the hardware that works here; not `encodes`: it is only to decode.

        `auto` becomes the first that works, else "none". Raises FaceswapError for a named one that
        does not work.
        """
        if self.hardware == "none":
            return self
        codec = self.codec if self.codec in ON_A_CHIP else "h264"
        for name in HARDWARE if self.hardware == "auto" else (self.hardware,):
            decoder, ending, upload = HARDWARE[name]
            device = ["-init_hw_device", f"{decoder}=chip"]
            if problem := _problem(device, []):
                if self.hardware != "auto":
                    raise FaceswapError(f"--hwaccel {name} does not work here: {problem} Choose "
                                        "--hwaccel auto, or none.")
                continue
            if not encodes or self.lossless:
                return replace(self, hardware=name)
            problem = _problem([*device, "-filter_hw_device", "chip"],
                               ["-vf", upload or "format=nv12", "-c:v", f"{codec}_{ending}"])
            if problem:
                logger.info("%s decodes; the processor encodes, since %s_%s does not work: %s",
                            name, codec, ending, problem)
            return replace(self, hardware=name, on_chip=not problem)
        logger.info("No graphics card that ffmpeg can use was found; the processor does it.")
        return replace(self, hardware="none")

    def decoder_arguments(self) -> list[str]:
        """Arguments before an input whose frames are decoded."""
        return [] if self.hardware == "none" else ["-hwaccel", HARDWARE[self.hardware][0]]

    def encoder_arguments(self, container: str, layout: str, size: tuple[int, int],
                          fields: str | None = None,
                          transparent: bool = False) -> tuple[list[str], str]:
        """Arguments for the encoder, and the layout of samples that it takes.

        `layout` is that of the pictures ("yuv420p10le"); `fields` "tff" or "bff" keeps the top or
        the bottom field first. Raises FaceswapError where container or codec do not take them.
        """
        stored = av.VideoFormat(layout, 16, 16)
        codec = self._codec(container, stored)
        extra = self._extra(container, codec, fields)
        if transparent and codec not in TRANSPARENT:
            logger.warning("The video is transparent in places, which %s does not keep. --codec "
                           "prores (.mov) and --lossless (.mkv) keep it.", codec)
        encoder = ENCODERS.get(codec, codec)
        if self._uses_chip(codec):
            encoder = f"{codec}_{HARDWARE[self.hardware][1]}"
        options = encoder_options(encoder, self.crf, self.preset, transparent)
        if self.lossless and codec == "h264":
            options = {"qp": "0", "preset": self.preset}
        arguments = ["-c:v", encoder]
        for name, value in options.items():
            arguments += [f"-{OPTIONS_OF_VIDEO.get(name, name)}", value]
        return [*arguments, *extra], self._layout(codec, stored, size, transparent)

    def _layout(self, codec: str, stored: av.VideoFormat, size: tuple[int, int],
                transparent: bool) -> str:
        """The layout that the encoder takes for pictures that are `stored` so."""
        deep = stored.components[0].bits > 8
        match codec:
            case "ffv1":
                return _ffv1_layout(stored, transparent)
            case "h264rgb":
                return "rgb24"
            case "prores":
                return "yuva444p10le" if transparent else "yuv422p10le"
        if self._uses_chip(codec):
            return "p010le" if deep and codec != "h264" else "nv12"
        ending = "10le" if deep and codec in ("h264", "hevc", "av1") else ""
        return f"yuv{_chroma(codec, stored.name, size)}p{ending}"

    def _uses_chip(self, codec: str) -> bool:
        return self.on_chip and not self.lossless and codec in ON_A_CHIP

    def _extra(self, container: str, codec: str, fields: str | None) -> list[str]:
        """What fields and containers ask of the encoder."""
        extra = []
        if fields:
            if self.on_chip or codec not in INTERLACED:
                place = " on a graphics card" if self.on_chip else ""
                raise FaceswapError(f"Interlaced video is not written as {codec}{place}. Choose "
                                    "--codec h264 or prores, --lossless, or leave out "
                                    "--keep-interlaced.")
            extra += ["-flags", "+ilme+ildct"]
            extra += ["-x264-params", f"{fields}=1"] * (codec in ("h264", "h264rgb"))
        if container in WITHOUT_B_FRAMES and codec in ("h264", "hevc"):
            extra += ["-bf", "0"]
        if codec == "hevc" and container in EDIT_LISTS:
            extra += ["-tag:v", "hvc1"]  # Apple's players take no other
        return extra

    def _codec(self, container: str, stored: av.VideoFormat) -> str:
        deep = stored.components[0].bits > 8
        if self.lossless:
            if container in FFV1_HOLDERS:
                return "ffv1"
            if container != "mp4" or deep:
                raise FaceswapError(f"Lossless video of {'more than 8' if deep else '8'} bits is "
                                    "written as .mkv, .mov or .avi, "
                                    f"{'not' if container == 'mp4' else 'and of 8 bits'} as .mp4. "
                                    "Choose one of these endings.")
            return "h264rgb" if stored.is_rgb else "h264"
        if self.codec != "auto":
            if not holds(container, self.codec):
                raise FaceswapError(f"A file of the kind {container} cannot hold {self.codec}. "
                                    "Choose another --codec or another ending: .mkv holds "
                                    "everything.")
            return self.codec
        if container in WITHOUT_H264:
            return WITHOUT_H264[container]
        return "hevc" if deep and container in HEVC_HOLDERS else "h264"

    def upload_filters(self) -> list[str]:
        """Filters behind all others that bring frames to the chip that encodes them."""
        upload = HARDWARE[self.hardware][2] if self.on_chip and not self.lossless else ""
        return [upload] if upload else []


def _ffv1_layout(stored: av.VideoFormat, transparent: bool) -> str:
    """FFV1 takes planes of any depth; RGB as three of them."""
    if not stored.is_rgb:
        return stored.name.replace("yuvj", "yuv")
    planes = "gbrap" if transparent else "gbrp"
    return f"{planes}16le" if stored.components[0].bits > 8 else planes


def _chroma(codec: str, layout: str, size: tuple[int, int]) -> str:
    """How colours are sampled: as in `layout` where the codec can ("422"), else "420"."""
    plain = layout.replace("yuvj", "yuv").replace("yuva", "yuv")
    possible = CHROMA.get(codec, ("420",))
    chroma = next((name for name in possible if f"yuv{name}" in plain), "420")
    is_odd = size[0] % 2 or size[1] % 2  # x264 and x265 halve the colours of even sizes only
    return "444" if is_odd and "444" in possible else chroma


def _problem(device: list[str], encoder: list[str]) -> str:
    """What ffmpeg says when it encodes one black frame so; nothing where it works."""
    black = ["-f", "lavfi", "-i", "nullsrc=s=256x256:d=0.04", "-frames:v", "1"]
    try:
        ffmpeg.run([*device, *black, *encoder, "-f", "null", "-"], "try")
        return ""
    except FaceswapError as error:
        return str(error).removeprefix("ffmpeg could not try: ")


def to_rgb(source: VideoSource, layout: str) -> list[str]:
    """Filters that make upright RGB with square pixels of decoded, unturned frames, as
    `VideoSource` does."""
    picture = next(source.frames(0, 1)).coded
    width, height = source.size[::-1] if source.turn[0] == 0 else source.size
    scales = (width, height) != (picture.width, picture.height)
    options = [f"w={width}", f"h={height}", "interl=-1",
               f"flags={'bicubic' if scales else 'bilinear'}+{EXACT}"]
    if not picture.format.is_rgb:
        options += [f"in_color_matrix={NAMES[source.matrix]}"] * (source.matrix in NAMES)
        across, down = chroma_between(picture)  # which filters do not read from the frame
        is_halved = "420" in picture.format.name
        options += ["in_h_chr_pos=0"] * (not across) + ["in_v_chr_pos=0"] * (is_halved and not down)
    # swscale's direct way to rgb48 is wrong
    middle = {"rgb48": ["format=gbrp16le"], "rgba64": ["format=gbrap16le"]}.get(layout, [])
    if middle and not picture.format.is_rgb:
        middle.append(full_scale("i"))
    # The tag that says how to turn would be written into pictures that are turned already
    is_turned = source.turn != (1, 0, 0, 1)
    untagged = ["sidedata=mode=delete:type=DISPLAYMATRIX"] * is_turned
    return [*untagged, f"scale={':'.join(options)}", *middle, f"format={layout}",
            *turned(source.turn)]


def full_scale(end: str) -> str:
    """A filter for 16-bit RGB, whose white is 255 * 256 in swscale and 65535 in pictures.

    `end` "i": from the former to the latter; "o": back.
    """
    return "colorlevels=" + ":".join(f"{name}{end}max={65280 / 65535:.9f}" for name in "rgb")


def turned(turn: tuple[int, int, int, int]) -> list[str]:
    """Filters that turn and mirror frames as `coded.Conversion.turn` says."""
    a, b, c, d = turn
    return ["transpose=0"] * (a == 0) + ["hflip"] * (a + c < 0) + ["vflip"] * (b + d < 0)


def from_rgb(layout: str, size: tuple[int, int], colours: tuple[int, int, int] | None,
             of_16_bits: bool = False) -> list[str]:
    """Filters from RGB to `layout`, whose frames are tagged with `colours`: matrix, primaries and
    transfer; None: those usual for the size."""
    if av.VideoFormat(layout, 16, 16).is_rgb:
        return [f"format={layout}"]
    usual = BT709 if size[0] >= 1280 or size[1] > 576 else BT601
    matrix, primaries, transfer = colours if colours and colours[0] in NAMES else (usual,) * 3
    deep = ["format=gbrp16le", full_scale("o")] if of_16_bits else []
    return [*deep, f"scale=out_color_matrix={NAMES[matrix]}:out_range=tv"
                   f":flags=bicubic+{EXACT}+full_chroma_inp", f"format={layout}",
            f"setparams=range=tv:colorspace={matrix}:color_primaries={primaries}"
            f":color_trc={transfer}"]


def timing_arguments(container: str, time_base: Fraction, rate: Fraction) -> list[str]:
    """Arguments that let every encoded frame keep its time."""
    if container in ("avi", "mpeg"):  # one steady rate; in AVI a missing frame is an empty packet
        time_base = 1 / rate
    return ["-fps_mode:v", "passthrough",
            "-enc_time_base:v", f"{time_base.numerator}:{time_base.denominator}",
            *clock_arguments(container, time_base)]


def clock_arguments(container: str, time_base: Fraction) -> list[str]:
    """Arguments by which containers that may choose their clocks take that of the video."""
    if container not in EDIT_LISTS:
        return []
    # MP4 rounds the time of the first frame to its "movie" clock, of 1000 ticks a second by default
    movie = str(max(1000, time_base.denominator))
    return ["-video_track_timescale", str(time_base.denominator), "-movie_timescale", movie,
            "-movflags", "+faststart"]


def holds(container: str, codec: str) -> bool:
    """Whether the container takes packets of that codec."""
    if container in HELD:
        return codec in HELD[container]
    if container == "mp4" and codec.startswith("pcm_"):
        return False  # allowed of late, but hardly any player knows it
    if container == "asf" and codec in ("h264", "hevc"):
        return False  # which would be shown a frame too late
    return codec in av.open(io.BytesIO(), "w", format=container).supported_codecs


def check_holds(path: Path, container: str, codec: str) -> None:
    """Raises FaceswapError where video of that codec cannot be copied into the container."""
    if not holds(container, codec):
        raise FaceswapError(f"{path.suffix} cannot hold {codec} as it is. Choose .mkv, which holds "
                            "everything, or the ending of the input.")


def sound_arguments(number: int, codec: str, channels: int, rate: int, container: str,
                    copy: bool) -> list[str]:
    """Arguments that write sound track `number`: copied if `copy` and possible, else encoded."""
    if copy and holds(container, codec):
        arguments = [f"-c:a:{number}", "copy"]
        # Where no stream may begin before time 0, what an encoder put there would delay the video;
        # Opus has its own rule
        keeps_lead_in = container in EDIT_LISTS or codec == "opus"
        return arguments + [f"-bsf:a:{number}", "noise=drop=lt(pts\\,0)"] * (not keeps_lead_in)
    encoder = _sound_encoder(codec, container)
    if encoder.startswith("pcm_") or encoder == "flac":
        return [f"-c:a:{number}", encoder]
    mixed = []
    if channels > 2 and encoder not in ("aac", "libopus", "ac3"):
        channels, mixed = 2, [f"-ac:a:{number}", "2"]
    bit_rate = f"{96 * max(1, channels)}k"
    arguments = [f"-c:a:{number}", encoder, f"-b:a:{number}", bit_rate, *mixed]
    rates = av.Codec(encoder, "w").audio_rates
    if encoder == "mp2":  # of slower ones it allows no such bit rate
        rates = [possible for possible in rates if possible >= 32000]
    if rates and rate not in rates:
        above = [possible for possible in rates if possible >= rate]
        arguments += [f"-ar:a:{number}", str(min(above, default=max(rates)))]
    return arguments


def _sound_encoder(codec: str, container: str) -> str:
    """That of the same codec where there is one that the container holds."""
    if codec.startswith("pcm_") and holds(container, codec):
        return codec
    if container == "avi":  # knows no times: an encoder's lead-in would be heard as a delay
        return "pcm_s16le"
    encoder = SOUND_ENCODERS.get(codec)
    return encoder if encoder and holds(container, codec) else SOUND.get(container, "aac")


def subtitle_arguments(number: int, codec: str, container: str) -> list[str] | None:
    """Arguments that write a subtitle track; None where the container takes no such."""
    # A subtitle that begins before the video would delay it
    in_time = [f"-bsf:s:{number}", "noise=drop=lt(pts\\,0)"]
    if holds(container, codec):
        return [f"-c:s:{number}", "copy", *in_time]
    is_text = codec in ("subrip", "ass", "ssa", "mov_text", "webvtt", "text")
    encoder = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip",
               "webm": "webvtt"}.get(container)
    return [f"-c:s:{number}", encoder, *in_time] if is_text and encoder else None
