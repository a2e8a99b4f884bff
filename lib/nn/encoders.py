"""Networks of keras.applications as encoders of faces."""

from __future__ import annotations

import keras
from keras import layers

from lib.errors import FaceswapError

# Name -> side that it was made for, least side, how it wants colours ("255", "1" or "-1": up to
# that, from 0 or from -1), its name in Keras
ENCODERS = {
    "fs_original": (1024, 32, "1", ""),
    "efficientnet_b0": (224, 32, "255", "EfficientNetB0"),
    "efficientnet_b1": (240, 32, "255", "EfficientNetB1"),
    "efficientnet_b2": (260, 32, "255", "EfficientNetB2"),
    "efficientnet_b3": (300, 32, "255", "EfficientNetB3"),
    "efficientnet_b4": (380, 32, "255", "EfficientNetB4"),
    "efficientnet_b5": (456, 32, "255", "EfficientNetB5"),
    "efficientnet_b6": (528, 32, "255", "EfficientNetB6"),
    "efficientnet_b7": (600, 32, "255", "EfficientNetB7"),
    "efficientnet_v2_b0": (224, 32, "-1", "EfficientNetV2B0"),
    "efficientnet_v2_b1": (240, 32, "-1", "EfficientNetV2B1"),
    "efficientnet_v2_b2": (260, 32, "-1", "EfficientNetV2B2"),
    "efficientnet_v2_b3": (300, 32, "-1", "EfficientNetV2B3"),
    "efficientnet_v2_s": (384, 32, "-1", "EfficientNetV2S"),
    "efficientnet_v2_m": (480, 32, "-1", "EfficientNetV2M"),
    "efficientnet_v2_l": (480, 32, "-1", "EfficientNetV2L"),
    "mobilenet": (224, 32, "-1", "MobileNet"), "mobilenet_v2": (224, 32, "-1", "MobileNetV2"),
    "mobilenet_v3_small": (224, 32, "-1", "MobileNetV3Small"),
    "mobilenet_v3_large": (224, 32, "-1", "MobileNetV3Large"),
    "resnet50": (224, 32, "-1", "ResNet50"), "resnet101": (224, 32, "-1", "ResNet101"),
    "resnet152": (224, 32, "-1", "ResNet152"), "resnet50_v2": (224, 32, "-1", "ResNet50V2"),
    "resnet101_v2": (224, 32, "-1", "ResNet101V2"), "resnet152_v2": (224, 32, "-1", "ResNet152V2"),
    "densenet121": (224, 32, "1", "DenseNet121"), "densenet169": (224, 32, "1", "DenseNet169"),
    "densenet201": (224, 32, "1", "DenseNet201"),
    "convnext_tiny": (224, 32, "255", "ConvNeXtTiny"),
    "convnext_small": (224, 32, "255", "ConvNeXtSmall"),
    "convnext_base": (224, 32, "255", "ConvNeXtBase"),
    "convnext_large": (224, 32, "255", "ConvNeXtLarge"),
    "inception_v3": (299, 80, "-1", "InceptionV3"),
    "inception_resnet_v2": (299, 80, "-1", "InceptionResNetV2"),
    "xception": (299, 80, "-1", "Xception"), "nasnet_mobile": (224, 32, "-1", "NASNetMobile"),
    "nasnet_large": (331, 32, "-1", "NASNetLarge"), "vgg16": (224, 32, "255", "VGG16"),
    "vgg19": (224, 32, "255", "VGG19")}


def applied(name: str, face, pretrained: bool):
    """What the network of that name, without its top, finds in `face` (N, S, S, 3) RGB in [0, 1].

    Raises FaceswapError where its weights of ImageNet, which Keras checks by their hash, cannot be
    had.
    """
    _, _, colors, keras_name = ENCODERS[name]
    x = {"255": layers.Rescaling(255.0), "1": layers.Rescaling(1.0),
         "-1": layers.Rescaling(2.0, -1.0)}[colors](face)
    scales = colors == "-1" and keras_name.startswith(("EfficientNetV2", "MobileNetV3"))
    own = {"include_preprocessing": False} if scales else {}
    try:
        make = getattr(keras.applications, keras_name)
        network = make(include_top=False, weights="imagenet" if pretrained else None,
                       input_shape=face.shape[1:], **own)
    except Exception as error:
        if not pretrained:
            raise
        raise FaceswapError(f"The weights of ImageNet for {name} cannot be had: {error} Leave "
                            "--model.encoder-pretrained out, or go online "
                            "once; Keras then keeps them in ~/.keras/models.") from error
    return network(x)
