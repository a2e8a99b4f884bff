"""What is measured of a swap: the name, unit, direction, meaning and source of each measure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """One number of a frame, or of the whole clip."""

    key: str
    group: str
    title: str
    unit: str
    better: str  # "higher", "lower" or "1"
    meaning: str
    source: str = ""  # paper


IDENTITY, ATTRIBUTES = "Identity", "Attributes kept"
PICTURE, TIME, COVERAGE = "Picture", "Time", "Coverage"

MEASURES = (
    Measure("distance_b", IDENTITY, "Distance to B", "", "lower",
            "From the swapped face's embedding to the mean of B's; below 0.6 the recognizer sees "
            "the same person.",
            "Deep Residual Learning for Image Recognition, CVPR, 2016 (dlib's 128 numbers)"),
    Measure("cosine_b", IDENTITY, "Likeness to B", "cosine", "higher",
            "Cosine of the swapped face's embedding and the mean of B's; 1 is the same, two people "
            "often have 0.85 to 0.9.",
            "ArcFace: Additive Angular Margin Loss for Deep Face Recognition, CVPR, 2019 (the "
            "measure)"),
    Measure("distance_a", IDENTITY, "Distance to A", "", "higher",
            "From the swapped face's embedding to the mean of A's."),
    Measure("cosine_a", IDENTITY, "Likeness to A", "cosine", "lower", "The same with A's."),
    Measure("retrieved", IDENTITY, "Taken for B", "%", "higher",
            "Frames whose nearest identity among A, B and the gallery is B.",
            "FaceShifter: Towards High Fidelity And Occlusion Aware Face Swapping, 2019 (ID "
            "retrieval)"),
    Measure("pose_error", ATTRIBUTES, "Head pose error", "degrees", "lower",
            "Angle between the head's directions in the original and in the swapped frame, from "
            "six landmarks.",
            "FaceShifter, 2019 (pose error)"),
    Measure("landmark_error", ATTRIBUTES, "Landmark error", "%", "lower",
            "Mean distance of the swapped face's landmarks from the original's, of the distance "
            "between the eyes.",
            "300 Faces in-the-Wild Challenge, ICCV Workshops, 2013 (normalisation)"),
    Measure("eyes_error", ATTRIBUTES, "Landmark error, eyes", "%", "lower",
            "The same of the twelve points of the eyelids."),
    Measure("mouth_error", ATTRIBUTES, "Landmark error, mouth", "%", "lower",
            "The same of the twenty points of the lips."),
    Measure("eyes_follow", ATTRIBUTES, "Eye opening follows", "correlation", "higher",
            "Correlation over the clip of the eyes' opening in the original and in the swapped "
            "frames.",
            "Real-Time Eye Blink Detection using Facial Landmarks, CVWW, 2016 (eye aspect ratio)"),
    Measure("mouth_follow", ATTRIBUTES, "Mouth opening follows", "correlation", "higher",
            "Correlation over the clip of the lips' distance in the original and in the swapped "
            "frames."),
    Measure("gaze_error", ATTRIBUTES, "Gaze error", "%", "lower",
            "How far the irises lie from where the original's do, of the eye's width: from the "
            "middle between the corners of each eye, the mean of both eyes where both are open.",
            "Real-time Pupil Tracking from Monocular Video for Digital Puppetry, CVPR Workshop, "
            "2020"),
    Measure("gaze_follows", ATTRIBUTES, "Gaze follows", "correlation", "higher",
            "Correlation over the clip of that horizontally in the original and in the swapped "
            "frames."),
    Measure("gaze_height_follows", ATTRIBUTES, "Gaze follows, height", "correlation", "higher",
            "The same vertically, where most of the change is the lids'."),
    Measure("brow_error", ATTRIBUTES, "Brow height error", "%", "lower",
            "Difference in height above the eyes, of the distance between the eyes, between the "
            "darkest line above each eye in the original and in the swapped frame: B's brows may "
            "naturally be a little higher or lower."),
    Measure("brows_follow", ATTRIBUTES, "Brows follow", "correlation", "higher",
            "Correlation over the clip of the brows' height in the original and in the swapped "
            "frames."),
    Measure("outside_psnr", PICTURE, "Exactness outside", "dB", "higher",
            "Peak signal-to-noise ratio of all pixels outside the faces: only the codec may change "
            "them. 99 is no change at all."),
    Measure("seam", PICTURE, "Seam", "levels", "lower",
            "How much steeper the picture is across the face's edge than in the original, in 8-bit "
            "levels a pixel of a 256-pixel face."),
    Measure("skin_difference", PICTURE, "Skin against its surroundings", "CIEDE2000", "lower",
            "Colour difference between the face and the skin around it that was not replaced; the "
            "original's own is given beside it.",
            "The CIEDE2000 color-difference formula, Color Research and Application, 2005"),
    Measure("detail", PICTURE, "Detail", "of the original", "1",
            "Fine structure of eyes and mouth (0.7 to 1.5 pixels where the outer corners of the "
            "eyes are 96 pixels apart, noise removed) against the original's: a blurred face with "
            "noise has 0.3 to 0.5."),
    Measure("parts_eyes", PICTURE, "Eyes like B's", "of B's own", "higher",
            "Correlation of each eye with the most similar of B's eyes in real pictures, as a "
            "share of what B's own pictures reach among each other: 1 is a real eye of B, blurred "
            "or drawn ones have less. It does not judge gaze, brows or hair."),
    Measure("parts_mouth", PICTURE, "Mouth like B's", "of B's own", "higher",
            "The same of the mouth."),
    Measure("sharpness", PICTURE, "Noise and sharpness", "of the original", "1",
            "Variance of the Laplacian inside the face against the original's; less than 1 is "
            "softer. Noise added to a blurred face counts too: Detail tells more.",
            "Diatom autofocusing in brightfield microscopy: a comparative study, ICPR, 2000"),
    Measure("flicker", TIME, "Flicker", "of the original", "1",
            "Change from frame to frame inside the face, with its motion removed, against the "
            "original's.",
            "Learning Blind Video Temporal Consistency, ECCV, 2018 (warping error)"),
    Measure("jitter", TIME, "Landmark jitter", "%", "lower",
            "Mean acceleration of the landmarks, of the distance between the eyes; the original's "
            "own is given beside it."),
    Measure("swapped", COVERAGE, "Frames swapped", "%", "higher",
            "Of the frames in which the original shows a face."),
    Measure("found", COVERAGE, "Face found again", "%", "higher",
            "Frames in which the detector finds a face where the original's was."),
)
GENERATED = (  # of generated faces, which have no original
    Measure("frechet", IDENTITY, "Frechet distance", "", "lower",
            "Of the embeddings of generated faces from those of the training faces, as "
            "distributions; few faces make it too high.",
            "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium, "
            "NeurIPS, 2017 (on other features)"),
    Measure("variety", IDENTITY, "Variety", "of the training faces'", "1",
            "Mean distance between the embeddings of two generated faces, against that of two "
            "training faces."),
)
BY_KEY = {measure.key: measure for measure in (*MEASURES, *GENERATED)}
