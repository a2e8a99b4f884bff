"""What is said to ffmpeg about encoders, layouts of samples, colours and graphics cards."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from lib.errors import FaceswapError
from lib.media.coded import colours_lie
from lib.media.encoding.stream_copy import EDIT_LISTS, SOUND
from lib.media.encoding.video_sink import ENCODERS, HEVC_HOLDERS, NVENC_PRESETS, ON_A_CHIP, QSV_PRESETS, SVT_PRESETS, TRANSPARENT
from lib.media.video.video_source import BT601, BT709, VideoSource
from lib.videotools import ffmpeg

logger = logging.getLogger(__name__)
NAMES = {1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020nc"}  # of matrices, as filters call them
EXACT = "accurate_rnd+full_chroma_int"
FFV1_HOLDERS = ("matroska", "avi", "mov", "nut")
IN_ORDER = ("avi", "flv", "asf", "nut", "mpeg")  # containers in which B-frames are shuffled, or delay the beginning
HARDWARE = {  # name -> what ffmpeg decodes with, the ending of its encoders, what its encoders take
    "cuda": ("cuda", "nvenc", ""), "videotoolbox": ("videotoolbox", "videotoolbox", ""), "qsv": ("qsv", "qsv", ""),
    "amf": ("d3d11va", "amf", ""), "vaapi": ("vaapi", "vaapi", "format=nv12,hwupload")}
ENCODED_SOUND = {"aac": "aac", "flac": "flac", "opus": "libopus", "mp3": "libmp3lame", "ac3": "ac3", "mp2": "mp2"}
OLD = {"webm": "vp9", "mpeg": "mpeg2video", "asf": "wmv2"}  # containers that hold H.264 not at all, or not its times
HOLD = {"mpegts": ("h264", "hevc", "mpeg2video", "mpeg4", "aac", "mp3", "mp2", "ac3", "eac3", "opus"),  # these do not tell
        "mpeg": ("mpeg2video", "mpeg1video", "mp2", "ac3")}
TAKE_FIELDS = ("h264", "h264rgb", "mpeg2video", "prores", "ffv1")  # codecs that keep interlaced pictures as such
KEPT_LAYOUTS = {"h264": ("420", "422", "444"), "hevc": ("420", "422", "444")}


@dataclass(frozen=True)
class Encoding:
    """How pictures are encoded, and on which chip they are decoded and encoded (`hardware`: a name in `HARDWARE`, or "none")."""

    codec: str = "auto"
    crf: int = 18
    preset: str = "veryfast"
    lossless: bool = False
    hardware: str = "none"
    on_chip: bool = False  # whether the chip encodes, too

    def reading(self) -> list[str]:
        """What stands before an input whose frames are decoded."""
        return [] if self.hardware == "none" else ["-hwaccel", HARDWARE[self.hardware][0]]

    def words(self, container: str, layout: str, size: tuple[int, int], fields: str | None = None,
              transparent: bool = False) -> tuple[list[str], str]:
        """The words for the encoder, and the layout that it is to be given, for pictures that lie as `layout` says ("yuv420p10le");
        `fields`: "tff" or "bff", of two fields each, of which the top or the bottom one comes first. Raises FaceswapError where container or codec do not take them."""
        shape = av.VideoFormat(layout, 16, 16)
        deep = shape.components[0].bits > 8
        codec = self._codec(container, shape)
        if fields and (self.on_chip or codec not in TAKE_FIELDS):
            raise FaceswapError(f"Interlaced video is not written as {codec}{' on a graphics card' if self.on_chip else ''}. Choose --codec "
                                "h264 or prores, --lossless, or leave out --keep-interlaced.")
        extra = ["-flags", "+ilme+ildct"] if fields else []
        if fields and codec in ("h264", "h264rgb"):
            extra += ["-x264-params", f"{fields}=1"]
        extra += ["-bf", "0"] if container in IN_ORDER and codec in ("h264", "hevc") else []
        if codec == "hevc" and container in EDIT_LISTS:
            extra += ["-tag:v", "hvc1"]  # Apple's players take no other
        if transparent and codec not in TRANSPARENT:
            logger.warning("The video is transparent in places, which %s does not keep. --codec prores (.mov) and --lossless (.mkv) keep it.",
                           codec)
        if codec == "ffv1":
            return ["-c:v", "ffv1", "-level", "3", "-slices", "4", "-slicecrc", "1", *extra], _of_ffv1(shape, transparent)
        if codec == "h264rgb":
            return ["-c:v", "libx264rgb", "-qp", "0", "-preset", self.preset, *extra], "rgb24"
        if codec == "prores":
            if transparent:
                return ["-c:v", "prores_ks", "-profile:v", "4444", "-alpha_bits", "16", "-vendor", "apl0", *extra], "yuva444p10le"
            return ["-c:v", "prores_ks", "-profile:v", "hq", "-vendor", "apl0", *extra], "yuv422p10le"
        kept = KEPT_LAYOUTS.get(codec, ("420",))
        colours = next((name for name in kept if f"yuv{name}" in layout.replace("yuvj", "yuv").replace("yuva", "yuv")), "420")
        if colours != "444" and "444" in kept and (size[0] % 2 or size[1] % 2):
            colours = "444"  # x264 and x265 halve the colours of even sizes only
        made = f"yuv{colours}p{'10le' if deep and codec in ('h264', 'hevc', 'av1') else ''}"
        if self.on_chip and not self.lossless:
            return [*self._on_chip(codec), *extra], "p010le" if deep and codec != "h264" else "nv12"
        return [*self._on_processor(codec), *extra], made

    def _codec(self, container: str, shape: av.VideoFormat) -> str:
        deep = shape.components[0].bits > 8
        if self.lossless:
            if container in FFV1_HOLDERS:
                return "ffv1"
            if container != "mp4" or deep:
                raise FaceswapError(f"Lossless video of {'more than 8' if deep else '8'} bits is written as .mkv, .mov or .avi, "
                                    f"{'not as .mp4' if container == 'mp4' else 'and of 8 bits as .mp4'}. Choose one of these endings.")
            return "h264rgb" if shape.is_rgb else "h264"
        if self.codec != "auto":
            if not holds(container, self.codec):
                raise FaceswapError(f"A file of the kind {container} cannot hold {self.codec}. Choose another --codec or another ending: "
                                    ".mkv holds everything.")
            return self.codec
        if container in OLD:
            return OLD[container]
        return "hevc" if deep and container in HEVC_HOLDERS else "h264"

    def _on_processor(self, codec: str) -> list[str]:
        crf, wide = str(self.crf), str(round(self.crf * 63 / 51))  # VP9's and AV1's scale is wider: 63 is the worst
        words = ["-c:v", ENCODERS.get(codec, codec)]
        match codec:
            case "h264":
                return [*words, *(("-qp", "0") if self.lossless else ("-crf", crf)), "-preset", self.preset]
            case "hevc":
                return [*words, "-crf", crf, "-preset", self.preset, "-x265-params", "log-level=error"]
            case "mpeg2video" | "wmv2":
                return ["-c:v", codec, "-q:v", "2"]
            case "vp9":
                return [*words, "-crf", wide, "-b:v", "0", "-deadline", "realtime", "-cpu-used", "5", "-row-mt", "1"]
        return [*words, "-crf", wide, "-preset", str(SVT_PRESETS[self.preset])]

    def _on_chip(self, codec: str) -> list[str]:
        kind = HARDWARE[self.hardware][1]
        crf = str(self.crf)
        words = {"nvenc": ["-rc", "constqp", "-qp", crf, "-preset", NVENC_PRESETS[self.preset]],
                 "qsv": ["-global_quality", crf, "-preset", QSV_PRESETS[self.preset]],
                 "amf": ["-rc", "cqp", "-qp_i", crf, "-qp_p", crf, "-qp_b", crf],
                 "videotoolbox": ["-q:v", str(max(1, 100 - 2 * self.crf))], "vaapi": ["-rc_mode", "CQP", "-qp", crf]}[kind]
        return ["-c:v", f"{codec}_{kind}", *words]

    def upload(self) -> list[str]:
        """Filters behind all others that bring frames to the chip that encodes them."""
        return [HARDWARE[self.hardware][2]] if self.on_chip and not self.lossless and HARDWARE[self.hardware][2] else []


def _of_ffv1(shape: av.VideoFormat, transparent: bool) -> str:
    """FFV1 takes planes of any depth; RGB as three of them."""
    if not shape.is_rgb:
        return shape.name.replace("yuvj", "yuv")
    planes = "gbrap" if transparent else "gbrp"
    return f"{planes}16le" if shape.components[0].bits > 8 else planes


def chosen(asked: str, codec: str, encodes: bool) -> tuple[str, bool]:
    """The hardware that --hwaccel `asked` means here, and whether it encodes `codec`, too. Raises FaceswapError for one that does not work.

    `auto` is the first that works, else "none".
    """
    if asked == "none":
        return "none", False
    codec = codec if codec in ON_A_CHIP else "h264"
    for name in (HARDWARE if asked == "auto" else (asked,)):
        trouble = _trouble(["-init_hw_device", f"{HARDWARE[name][0]}=chip"], [])
        if trouble:
            if asked != "auto":
                raise FaceswapError(f"--hwaccel {asked} does not work here: {trouble} Choose --hwaccel auto, or none.")
            continue
        if not encodes:
            return name, False
        kind, upload = HARDWARE[name][1:]
        device = ["-init_hw_device", f"{HARDWARE[name][0]}=chip", "-filter_hw_device", "chip"]
        trouble = _trouble(device, ["-vf", upload or "format=nv12", "-c:v", f"{codec}_{kind}"])
        if trouble:
            logger.info("%s decodes; the processor encodes, since %s_%s does not work: %s", name, codec, kind, trouble)
        return name, not trouble
    logger.info("No graphics card that ffmpeg can use was found; the processor does it.")
    return "none", False


def _trouble(device: list[str], encoder: list[str]) -> str:
    """What ffmpeg says when it encodes one black frame so; nothing where it works."""
    try:
        ffmpeg.run([*device, "-f", "lavfi", "-i", "nullsrc=s=256x256:d=0.04", "-frames:v", "1", *encoder, "-f", "null", "-"], "try")
        return ""
    except FaceswapError as error:
        return str(error).removeprefix("ffmpeg could not try: ")


def to_rgb(source: VideoSource, layout: str) -> list[str]:
    """Filters that make of decoded, unturned frames what `VideoSource` makes of them: upright RGB with square pixels."""
    picture = next(source.frames(0, 1)).coded
    width, height = source.size[::-1] if source.turn[0] == 0 else source.size
    scales = (width, height) != (picture.width, picture.height)
    options = [f"w={width}", f"h={height}", "interl=-1", f"flags={'bicubic' if scales else 'bilinear'}+{EXACT}"]
    if not picture.format.is_rgb:
        options += [f"in_color_matrix={NAMES[source.matrix]}"] * (source.matrix in NAMES)
        across, down = colours_lie(picture)  # filters do not look at what a frame says of that
        halved = "420" in picture.format.name
        options += ["in_h_chr_pos=0"] * (not across) + ["in_v_chr_pos=0"] * (halved and not down)
    # swscale's direct way to rgb48 is wrong
    middle = {"rgb48": ["format=gbrp16le"], "rgba64": ["format=gbrap16le"]}.get(layout, [])
    if middle and not picture.format.is_rgb:
        middle.append(full_scale("i"))
    # without the tag that says how to turn: it would be written into the pictures, which are turned already
    untagged = ["sidedata=mode=delete:type=DISPLAYMATRIX"] if source.turn != (1, 0, 0, 1) else []
    return [*untagged, f"scale={':'.join(options)}", *middle, f"format={layout}", *turned(source.turn)]


def full_scale(end: str) -> str:
    """A filter for RGB of 16 bits: swscale's white is 255 * 256, that of pictures 65535. `end` "i": from the former; "o": to it."""
    return "colorlevels=" + ":".join(f"{name}{end}max={65280 / 65535:.9f}" for name in "rgb")


def turned(turn: tuple[int, int, int, int]) -> list[str]:
    """Filters that turn and mirror frames as `coded.Conversion.turn` says."""
    a, b, c, d = turn
    return ["transpose=0"] * (a == 0) + ["hflip"] * (a + c < 0) + ["vflip"] * (b + d < 0)


def from_rgb(layout: str, size: tuple[int, int], colours: tuple[int, int, int] | None, of_16_bits: bool = False) -> list[str]:
    """Filters from RGB, or from pictures `of_16_bits`, to `layout`. `colours`: matrix, primaries and transfer; None: those usual for the
    size. Frames are tagged so."""
    if av.VideoFormat(layout, 16, 16).is_rgb:
        return [f"format={layout}"]
    usual = BT709 if size[0] >= 1280 or size[1] > 576 else BT601
    matrix, primaries, transfer = colours if colours and colours[0] in NAMES else (usual, usual, usual)
    tags = f"setparams=range=tv:colorspace={matrix}:color_primaries={primaries}:color_trc={transfer}"
    deep = ["format=gbrp16le", full_scale("o")] if of_16_bits else []
    return [*deep, f"scale=out_color_matrix={NAMES[matrix]}:out_range=tv:flags=bicubic+{EXACT}+full_chroma_inp", f"format={layout}", tags]


def timing(container: str, time_base: Fraction, rate: Fraction) -> list[str]:
    """Words that let every frame keep its time."""
    if container in ("avi", "mpeg"):  # hold one steady rate; in AVI a missing frame is an empty packet
        time_base = 1 / rate
    return ["-fps_mode:v", "passthrough", "-enc_time_base:v", f"{time_base.numerator}:{time_base.denominator}",
            *clocks(container, time_base)]


def clocks(container: str, time_base: Fraction) -> list[str]:
    """Words by which containers that may choose their clocks take those of the video."""
    if container not in EDIT_LISTS:
        return []
    # MP4 rounds the time of the first frame to its "movie" clock, which ticks 1000 times a second where nothing is said
    movie = str(max(1000, time_base.denominator))
    return ["-video_track_timescale", str(time_base.denominator), "-movie_timescale", movie, "-movflags", "+faststart"]


def holds(container: str, codec: str) -> bool:
    """Whether the container takes packets of that codec."""
    if container in HOLD:
        return codec in HOLD[container]
    if container == "mp4" and codec.startswith("pcm_"):
        return False  # allowed of late, but hardly any player knows it
    if container == "asf" and codec in ("h264", "hevc"):
        return False  # which would be shown a frame too late
    return codec in av.open(io.BytesIO(), "w", format=container).supported_codecs


def check_holds(path: Path, container: str, codec: str) -> None:
    """Raises FaceswapError where video of that codec cannot be copied into the container."""
    if not holds(container, codec):
        raise FaceswapError(f"{path.suffix} cannot hold {codec} as it is. Choose .mkv, which holds everything, or the ending of the input.")


def sound_words(number: int, codec: str, channels: int, rate: int, container: str, copy: bool) -> list[str]:
    """How sound track `number` of the output is written, of what is `codec` now: copied where that can be done and `copy` says so."""
    if copy and holds(container, codec):
        words = [f"-c:a:{number}", "copy"]
        # What an encoder put before time 0 would delay the video where no stream may begin there; Opus has its own way
        lead_in = container in EDIT_LISTS or codec == "opus"
        return words if lead_in else [*words, f"-bsf:a:{number}", "noise=drop=lt(pts\\,0)"]
    if codec.startswith("pcm_") and holds(container, codec):
        return [f"-c:a:{number}", codec]
    encoder = ENCODED_SOUND.get(codec)
    if container == "avi":  # which knows no times: an encoder's lead-in would be heard as a delay
        encoder = "pcm_s16le"
    elif encoder is None or not holds(container, codec):
        encoder = SOUND.get(container, "aac")
    if encoder in ("pcm_s16le", "flac"):
        return [f"-c:a:{number}", encoder]
    if channels > 2 and encoder not in ("aac", "libopus", "ac3"):
        channels, mixed = 2, [f"-ac:a:{number}", "2"]
    else:
        mixed = []
    words = [f"-c:a:{number}", encoder, f"-b:a:{number}", f"{96 * max(1, channels)}k", *mixed]
    rates = av.Codec(encoder, "w").audio_rates
    if encoder == "mp2":
        rates = [possible for possible in rates if possible >= 32000]  # of slower ones it allows no such bit rate
    if rates and rate not in rates:
        words += [f"-ar:a:{number}", str(min((possible for possible in rates if possible >= rate), default=max(rates)))]
    return words


def subtitle_words(number: int, codec: str, container: str) -> list[str] | None:
    """How a subtitle track is written; None where the container takes no such."""
    in_it = [f"-bsf:s:{number}", "noise=drop=lt(pts\\,0)"]  # one that begins before the video would delay it
    if holds(container, codec):
        return [f"-c:s:{number}", "copy", *in_it]
    text = codec in ("subrip", "ass", "ssa", "mov_text", "webvtt", "text")
    made = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}.get(container)
    return [f"-c:s:{number}", made, *in_it] if text and made else None
