"""Options that several commands share, each declared once: a command's settings inherit from those
it needs.

A command may declare an option of the same name itself, with words or a default of its own. A short
flag that it uses for something else is not given to the shared option: `-A` is the aligner in
extract, and the footage of A in train.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lib.options import option
from lib.settings import Settings


@dataclass(kw_only=True)
class AlignmentsOptions(Settings):
    """Where the faces of the input are stored."""

    alignments: Path | None = option(
        None, "Alignments file of the input. Default: INPUT.alignments.db beside it.", short="-p",
        group="Finding faces")


@dataclass(kw_only=True)
class FindingOptions(Settings):
    """How faces are found where they are not known yet."""

    detector: str = option(
        "auto", "Face detector.", short="-D", plugin="detectors", group="Finding faces")
    aligner: str = option(
        "dlib68", "Landmark aligner.", short="-A", plugin="aligners", group="Finding faces")


@dataclass(kw_only=True)
class FaceSizeOptions(Settings):
    """Which faces are large enough."""

    min_face: int | None = option(
        None,
        "Smallest face to find, in frame pixels. Smaller values search larger pictures and take "
        "longer (20 at 1080p: 15 times as long); 200 saves time. By default frames are searched "
        "at 640 pixels, where yunet finds faces of 20 pixels, so of 60 in a 1080p frame (hog: "
        "36, so 108; mmod: 72, so 216).", low=0, group="Finding faces")


@dataclass(kw_only=True)
class PeopleOptions(Settings):
    """Whose faces are meant, by photos of them."""

    filter: list[Path] = option(
        [], "Only the faces of these people: pictures, folders, videos or extracted faces. The "
        "largest face of each picture counts.", short="-f", group="Which faces")
    nfilter: list[Path] = option(
        [], "Leave out the faces of these people, named as for -f.", short="-n",
        group="Which faces")
    ref_threshold: float | None = option(
        None,
        "Least likeness to the faces of -f and -n, a cosine: higher is stricter. 1 is the same "
        "picture, about 0 are two people. Default: the recognizer's (dlib_resnet: 0.57).",
        short="-l", low=-1.0, high=1.0, group="Which faces", rare=True)


@dataclass(kw_only=True)
class FacesOptions(Settings):
    """Which faces of a frame are swapped."""

    faces: str = option(
        "all", "Faces of a frame to swap; nearest-a is the face that looks like A, if one does.",
        choices=("all", "largest", "nearest-a"), group="Which faces")


@dataclass(kw_only=True)
class CheckpointOptions(Settings):
    """Which weights of a trained model are loaded."""

    checkpoint: str | None = option(
        None,
        "Load this checkpoint instead of the newest: the iteration of a checkpoint or snapshot, "
        "previous or best.", aliases=("save",), group="Model")


@dataclass(kw_only=True)
class CompositingOptions(Settings):
    """How a new face is set into the frame. All have defaults: `CompositingOptions()` is the usual
    way."""

    color: str = option(
        "reinhard", "Colour transfer from the old face to the new one.", short="-c",
        plugin="colors", group="Colours and mask")
    mask: str = option(
        "auto",
        "The part of the face to replace: predicted (by the model), a masker, or a mask stored "
        "by extract or mask; * multiplies several. auto is predicted*hull, and the stored mask "
        "occlusion where there is one: what is in front of a face stays there.", short="-M", group="Colours and mask")
    blender: str = option(
        "alpha", "How the new face is blended into the frame.", short="-b", plugin="blenders",
        group="Colours and mask")
    erosion: float = option(
        0.0, "Move the edge of the mask inwards by this share of the face's size; negative values "
        "move it outwards.", low=-0.25, high=0.25, group="Colours and mask", rare=True)
    erosion_top: float = option(
        0.0, "Extra erosion at the top.", low=-0.25, high=0.25, group="Colours and mask", rare=True)
    erosion_right: float = option(
        0.0, "Extra erosion at the right side of the picture.", low=-0.25, high=0.25,
        group="Colours and mask", rare=True)
    erosion_bottom: float = option(
        0.0, "Extra erosion at the bottom.", low=-0.25, high=0.25, group="Colours and mask",
        rare=True)
    erosion_left: float = option(
        0.0, "Extra erosion at the left side of the picture.", low=-0.25, high=0.25,
        group="Colours and mask", rare=True)
    feather: float = option(
        0.1, "Width of the mask's soft edge, as a share of the face's size.", low=0.0, high=0.5,
        group="Colours and mask", rare=True)
    match_detail: bool = option(
        True,
        "Match the sharpness, grain and motion blur of the frame. Fine detail is raised to 75 % "
        "of the original's, at most 4 times; previews have no motion blur.", group="Detail")
    sharpen: float = option(
        0.0, "Sharpen the new face; 0.5 to 1 is strong.", low=0.0, high=5.0, group="Detail",
        rare=True)
    face_scale: float = option(
        1.0, "Size of the new face relative to the old one.", low=0.5, high=2.0, group="Detail",
        rare=True)
    steady: float = option(
        0.0,
        "Smooth what the model draws over neighbouring frames, against flicker; 1 is strongest "
        "and softens.", low=0.0, high=1.0, group="Detail", rare=True)
    follow_eyes: bool = option(
        True, "Move eyelids and irises of the new face to where those of the old one are.",
        group="Detail", rare=True)


@dataclass(kw_only=True)
class ExemplarsOptions(Settings):
    """Detail from real pictures."""

    exemplars: bool = option(
        True,
        "Add fine detail (skin, lashes, teeth) from real pictures of B that training kept in the "
        "model's folder.", group="Detail")


@dataclass(kw_only=True)
class WriterOptions(Settings):
    """What is written."""

    writer: str | None = option(
        None,
        "Kind of output. Default: by the name of the output, or by the --writer options given.",
        short="-w", plugin="writers", group="Frames and output")


@dataclass(kw_only=True)
class LabelOptions(Settings):
    """Words in the picture."""

    label: str | None = option(
        None, "Write this text into a corner of each frame, such as AI-generated.",
        group="Provenance")


@dataclass(kw_only=True)
class ProvenanceOptions(Settings):
    """How results say that they are synthetic."""

    provenance: bool = option(
        True,
        "Mark results as synthetic: signed Content Credentials (C2PA) in MP4, MOV, AVI, JPEG, "
        "PNG, WebP, TIFF and GIF, and a plain statement in the metadata. See faceswap.py "
        "provenance.", group="Provenance")
    consent: list[Path] = option(
        [], "Consent records (text or PDF). The result names their hashes, so that you can prove "
        "later what you had.", group="Provenance", rare=True)
    certificate: Path | None = option(
        None, "Sign with this certificate chain (PEM). Default: a certificate made on first use.",
        group="Provenance", rare=True)
    signing_key: Path | None = option(
        None,
        "Private key of the certificate (PEM); its password is read from FACESWAP_KEY_PASSWORD.",
        group="Provenance", rare=True)
    timestamp: str | None = option(
        None,
        "URL of a time stamping authority (RFC 3161) that confirms when the result was signed.",
        group="Provenance", rare=True)
