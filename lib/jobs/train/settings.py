"""The options of `train`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lib.jobs.shared.options import FindingOptions
from lib.options import option
from lib.settings import Settings


@dataclass(kw_only=True)
class DataOptions(Settings):
    """Which faces a model learns from, and how often it sees each."""

    input_a: list[Path] = option(
        help="Faces of person A, the one in the film (target, dst): a folder that extract wrote, a "
             "packed face set, a video or pictures. Several are mixed.",
        short="-A", group="Faces and model")
    input_b: list[Path] = option(
        [], "Faces of person B, whose face is put on A (source, src), given like -A. Needed by all "
            "models but stylegan and occlusion.", short="-B", group="Faces and model")
    model_dir: Path = option(
        help="Folder of the model. Created if missing; training resumes if it exists.",
        short="-m", group="Faces and model")
    load_weights: Path | None = option(
        None, "Start a new model from the weights of the model in this folder, as far as they fit "
              "(a pretrained model).", group="Faces and model")
    mask: str | None = option(
        None, "Name of a stored mask (extract -M, mask) that weights the loss and trains the "
              "predicted mask; * multiplies several. Default: hull of the landmarks.",
        short="-M", group="Faces and model")
    labels: list[str] = option(
        [], "For occlusion: what covers some of the faces, as somebody said: JSON files of "
            "polygons, folders of painted masks (NAME_mask.png), names of stored masks.",
        group="Faces and model")
    covers: Path | None = option(
        None, "For occlusion: folder of pictures with transparency (PNG) of things that cover "
              "faces; half of the covers are taken from it.", group="Faces and model", rare=True)
    parts: list[str] = option(
        [], "Networks to take from --load-weights, such as encoder. Default: all.",
        group="Faces and model", rare=True)
    freeze: list[str] = option(
        [], "Networks whose weights do not change, such as encoder.",
        group="Faces and model", rare=True)
    whole_pictures: bool = option(
        False, "-A and -B are folders of any two kinds of pictures instead of faces. For cyclegan; "
               "the command translate uses the model.", group="Faces and model", rare=True)
    balance: str | None = option(
        None, "pose: draw faces so that all poses are seen equally often.", choices=("pose",),
        group="Faces and model", rare=True)
    weights_a: list[float] = option(
        [], "With several -A: how often to draw from each. Default: by their number of faces.",
        group="Faces and model", rare=True)
    weights_b: list[float] = option([], "The same for several -B.", group="Faces and model",
                                    rare=True)
    alignments_a: Path | None = option(
        None, "Alignments file that holds the masks (-M) of A's faces. Default: "
              "INPUT.alignments.db beside the source.", group="Faces and model", rare=True)
    alignments_b: Path | None = option(None, "The same for B's faces.", group="Faces and model",
                                       rare=True)
    exemplars: bool | None = option(
        None, "Keep some hundred pictures of both people in the model's folder; convert takes fine "
              "detail from them. Default: yes. Remembered on resume.",
        group="Faces and model", rare=True)
    recognizer: str | None = option(
        None, "Compares faces, to find A's among B's and to measure likeness. Default: "
              "dlib_resnet. Remembered on resume.",
        plugin="recognizers", group="Faces and model", rare=True)


@dataclass(kw_only=True)
class ModelOptions(Settings):
    """Which model."""

    model: str = option("compact", "Kind of model.", short="-t", plugin="models",
                        group="Faces and model")
    batch: str | None = option(
        None, "Faces of each person in a batch, or auto: the largest that fits. Default: the "
              "model's own, 8 for compact, 16 for original.", short="-b", group="Learning")


@dataclass(kw_only=True)
class PreviewOptions(Settings):
    """What training shows."""

    preview: bool = option(
        False, "Show previews and losses on a local web page; update preview.png every 20 seconds "
               "instead of at each checkpoint.", short="-p", group="Previews and measures")


@dataclass(kw_only=True)
class PrecisionOptions(Settings):
    """How it is computed."""

    precision: str = option(
        "auto", "Number format of the networks; auto: bfloat16 if the machine supports it, else "
                "float32. Remembered on resume.",
        choices=("auto", "float32", "bfloat16", "float16"), group="Machine", rare=True)
    seed: int | None = option(
        None, "Seed of the weights, the order of faces and the augmentation: makes a run on a CPU "
              "repeatable. Default: random.", low=0, high=4294967295, group="Machine", rare=True)


@dataclass(kw_only=True)
class LengthOptions(Settings):
    """How long to train."""

    iterations: int | None = option(
        None, "Stop at this many iterations in total.", short="-i",
        low=1, group="Length and checkpoints")
    minutes: float | None = option(None, "Stop after this many minutes of training in total.",
                                   low=0.01, group="Length and checkpoints")
    until: str | None = option(
        None, "plateau: stop when the measures of held-out faces have not improved for a third of "
              "the training.", choices=("plateau",), group="Length and checkpoints")


@dataclass(kw_only=True)
class CheckpointingOptions(Settings):
    """Which checkpoints are kept."""

    save_minutes: float = option(5.0, "Minutes of training between checkpoints.", low=0.01,
                                 group="Length and checkpoints")
    restore: str | None = option(
        None, "Go back to this checkpoint first: previous, best, or an iteration.",
        group="Length and checkpoints")
    keep: int = option(3, "Number of checkpoints to keep, besides the best one.", low=1,
                       group="Length and checkpoints", rare=True)
    snapshots: int | None = option(None, "Keep a checkpoint for good every N iterations.", low=1,
                                   group="Length and checkpoints", rare=True)


@dataclass(kw_only=True)
class WatchOptions(Settings):
    """What training shows and measures."""

    summary: bool = option(
        False, "Print the networks, their size, memory and speed on this machine, and exit.",
        group="Previews and measures")
    progress_minutes: float = option(
        1.0, "Minutes of training between measurements of the swap, on a few faces of A held out "
             "from training. 0: measure nothing and train on all faces.", low=0.0,
        group="Previews and measures", rare=True)
    time_lapse: bool = option(False, "Keep the preview of every checkpoint in timelapse/.",
                              group="Previews and measures", rare=True)
    histograms: bool = option(False, "Write histograms of the weights for TensorBoard to events/.",
                              group="Previews and measures", rare=True)


@dataclass(kw_only=True)
class OptimizerOptions(Settings):
    """How the weights are updated."""

    learning_rate: float | None = option(
        None, "Learning rate. Default: the model's own, 2e-3 for compact, 5e-5 for original.",
        low=1e-8, high=1.0, group="Learning")
    find_rate: bool = option(
        False, "Try learning rates, print the one that suits, and exit. Saves nothing.",
        group="Learning", rare=True)
    schedule: str | None = option(
        None, "How the learning rate changes. Default: the model's own, cosine for compact, level "
              "for most others.", plugin="schedules", group="Learning", rare=True)
    warm_up: int | None = option(
        None, "Iterations in which the learning rate rises from zero. Default: 100 for compact, 0 "
              "for most others.", low=0, group="Learning", rare=True)
    optimizer: str | None = option(None, "Optimizer. Default: the model's own, mostly adam.",
                                   plugin="optimizers", group="Learning", rare=True)
    clip: str | None = option(
        None, "Clip gradients at --clip-at: value (each number), norm (per variable), global (norm "
              "of all), adaptive (a percentile of the last 1000 global norms). Default: the "
              "model's own, global 1 for compact.",
        choices=("none", "value", "norm", "global", "adaptive"), group="Learning", rare=True)
    clip_at: float | None = option(
        None, "Limit of --clip; for adaptive a percentile. Default: 1, and 10 for adaptive.",
        low=0.0, group="Learning", rare=True)
    accumulate: int = option(
        1, "Sum the gradients of N iterations into one update, in place of a larger batch.",
        low=1, high=1024, group="Learning", rare=True)
    rate_dropout: float = option(
        0.0, "Share of the weights that an update leaves out, drawn anew each iteration (learning "
             "rate dropout).", low=0.0, high=0.99, group="Learning", rare=True)
    averaged: float | None = option(
        None, "Decay of the moving average of the weights (EMA), such as 0.999, which previews and "
              "convert use. 0: no average. Default: 0.999 for compact and stylegan, else 0.",
        low=0.0, high=0.99999, group="Learning", rare=True)


@dataclass(kw_only=True)
class LossOptions(Settings):
    """What the model minimises."""

    gan: float | None = option(
        None, "Weight of the adversarial loss when finishing a trained autoencoder (0.01 to 0.1). "
              "Remembered on resume; 0 turns it off.", low=0.0, high=10.0, group="Losses")
    loss: list[str] = option(
        [], "Losses in place of the model's own, with their weights: ssim=1 mse=0.5. `faceswap.py "
            "plugins losses` lists them. Remembered on resume. Not for compact, the default model, "
            "nor cyclegan and stylegan: their loss is fixed.", group="Losses", rare=True)
    outside: float | None = option(
        None, "Weight of the loss outside the mask; inside it is 1. Default: 0.1. Not for compact, "
              "cyclegan and stylegan.", low=0.0, high=10.0, group="Losses", rare=True)
    eyes: float | None = option(
        None, "Extra weight of the loss at the eyes. Default: 3. Not for compact, cyclegan and "
              "stylegan.", low=0.0, high=1000.0, group="Losses", rare=True)
    mouth: float | None = option(
        None, "Extra weight of the loss at the mouth. Default: 2. Not for compact, cyclegan and "
              "stylegan.", low=0.0, high=1000.0, group="Losses", rare=True)


@dataclass(kw_only=True)
class AugmentationOptions(Settings):
    """How training faces are varied; None is the model's own way."""

    augment: str = option(
        "auto", "Where faces are augmented; auto: on the GPU if they fit into its memory.",
        choices=("auto", "host", "device"), group="Augmentation", rare=True)
    augmentation: list[str] = option(
        [], "Further augmentations by name, with their options.", plugin="augmentations",
        group="Augmentation", rare=True)
    warp: float | None = option(
        None, "Strength of the random warp of the input, 1 = classic. Default: 0.3 for compact, "
              "else 1.", low=0.0, high=3.0, group="Augmentation", rare=True)
    unwarped: int | None = option(
        None, "Repeat every N-th batch without the warp (2 or more; 0: never). Default: 0.", low=0,
        group="Augmentation", rare=True)
    rotation: float | None = option(
        None, "Largest random rotation, in degrees. Default: 2 for compact, else 10.", low=0.0,
        high=180.0, group="Augmentation", rare=True)
    scale: float | None = option(
        None, "Largest random change of scale, as a share. Default: 0.02 for compact, else 0.05.",
        low=0.0, high=0.5, group="Augmentation", rare=True)
    shift: float | None = option(
        None, "Largest random shift, as a share of the crop. Default: 0.015 for compact, else "
              "0.05.",
        low=0.0, high=0.5, group="Augmentation", rare=True)
    flip: bool | None = option(None, "Mirror half of the faces. Default: no for compact, else yes.",
                               group="Augmentation", rare=True)
    color: float | None = option(
        None, "Strength of random brightness, contrast and tint. Default: 0.", low=0.0, high=0.5,
        group="Augmentation", rare=True)
    light: float | None = option(
        None, "Strength of a random light from one side. Default: 0.3 for compact, else 0.",
        low=0.0, high=1.0, group="Augmentation", rare=True)
    blur: float | None = option(
        None, "Largest random blur of the input: sigma as a share of the crop. Default: 0.01 for "
              "compact, else 0.", low=0.0, high=0.1, group="Augmentation", rare=True)
    paint_hair: bool | None = option(
        None, "Retouch hair over B's forehead to skin in the training data, so that A gets no dark "
              "patch there. Default: yes for compact, else no. --no-paint-hair keeps it.",
        group="Augmentation", rare=True)
    retarget: float | None = option(
        None, "Share of the faces that are bent to the pose and expression of the other person. "
              "Default: 0.5 for compact, else 0.", low=0.0, high=1.0, group="Augmentation",
        rare=True)
    crossed: float | None = option(
        None, "Share of the --retarget faces that enter the encoder as the other person's picture. "
              "Default: 0.5 for compact, else 0.", low=0.0, high=1.0, group="Augmentation",
        rare=True)


@dataclass(kw_only=True)
class MachineOptions(Settings):
    """Where it is computed."""

    devices: int = option(1, "GPUs that share each batch. 0: all.", low=0, group="Machine",
                          rare=True)


@dataclass(kw_only=True)
class TrainSettings(DataOptions, LengthOptions, CheckpointingOptions, ModelOptions,
                    OptimizerOptions, LossOptions, PreviewOptions, WatchOptions,
                    AugmentationOptions, MachineOptions, PrecisionOptions, FindingOptions):
    """Train a model on the faces of two people: one shared encoder, a decoder for each person.

    Without -i, --minutes or --until it trains until Ctrl-C, which saves and ends. Run the same
    command again to resume.
    """
