"""Options: one declaration is flag, TOML key, help and bounds check."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from lib.command import parsing
from lib.errors import FaceswapError, UsageError
from lib.options import declarations, option, settings_of
from lib.plugin import REGISTRIES
from lib.settings import Settings

SCRIPT = '''
"""A command."""
from lib.nowhere import nothing

@dataclass
class Row:
    """No options here."""
    size: int = 3

@dataclass(kw_only=True)
class Sample(Settings):
    """Try options.

    More about it.
    """

    input: Path = option(help="What to read.", short="-i")
    detector: str = option("hog", "What finds faces.", short="-D", plugin="detectors")
    writer: str | None = option(None, "What writes.", plugin="writers")
    masker: list[str] = option([], "Masks.", plugin="maskers")
    size: int = option(256, "Side in 100 % of pixels.", low=64, high=1024)
    min_score: float = option(0.5, "Least score.", low=0.0)
    mode: str = option("fast", "How.", choices=("fast", "good"))
    flip: bool = option(True, "Mirror.")
    extra: list[Path] = option([], "More.")
    seed: int | None = option(None, "Seed.")
'''


@pytest.fixture
def parse(tmp_path):
    script = tmp_path / "sample.py"
    script.write_text(SCRIPT)
    declared = declarations(script)[-1]
    return lambda *argv: parsing.parse("sample", declared, ["-i", "in", *argv])


def test_command_line_wins_over_default_and_has_the_declared_types(parse):
    values = parse("--size", "128", "--no-flip", "--extra", "a", "b", "--min-score=0.25", "--mode", "good", "--seed", "7")
    assert values == {"input": Path("in"), "size": 128, "flip": False, "extra": [Path("a"), Path("b")], "min_score": 0.25,
                      "mode": "good", "seed": 7, "masker": [], "plugin_options": {"detector": {}}}


def test_options_of_the_chosen_plugin_follow_its_choice(parse):
    assert parse("--detector", "hog", "--detector.upsample", "2")["plugin_options"] == {"detector": {"upsample": 2}}
    assert parse("--detector.min-score", "0.9", "-D", "yunet")["plugin_options"] == {"detector": {"min_score": 0.9}}


def test_a_selector_of_several_takes_each_once_with_options_of_its_own(parse):
    values = parse("--masker", "hull", "extended", "hull", "--masker.extended.feather", "0.1")
    assert values["masker"] == ["hull", "extended"]
    assert values["plugin_options"] == {"detector": {}, "masker.hull": {}, "masker.extended": {"feather": 0.1}}


def test_options_of_one_alone_have_a_short_form_too(parse):
    for flag in "--masker.feather", "--masker.extended.feather":
        assert parse("--masker", "extended", flag, "0.1")["plugin_options"]["masker.extended"] == {"feather": 0.1}


def test_a_selector_of_several_may_choose_none(parse):
    values = parse("--masker", "")
    assert values["masker"] == [] and values["plugin_options"] == {"detector": {}}


@pytest.mark.parametrize("argv, plugin, settings", [
    (["--writer.crf", "20", "--writer.codec=hevc"], "video", {"crf": 20, "codec": "hevc"}),
    (["--no-writer.sound"], "video", {"sound": False}),
    (["--writer.depth", "16"], "images", {"depth": 16}), ([], None, None)])
def test_options_that_one_plugin_alone_has_choose_it(parse, argv, plugin, settings):
    values = parse(*argv)
    assert values.get("writer") == plugin and values["plugin_options"].get("writer") == settings


def test_several_plugins_are_created_with_their_options():
    @dataclass(kw_only=True)
    class Sample(Settings):
        masker: list[str] = option(["hull"], "Masks.", plugin="maskers")

    made = Sample(masker=["extended", "hull"], plugin_options={"masker.hull": {"feather": 0.1}, "masker.extended": {"dilation": -0.1}})
    assert [(type(one).__name__, one.dilation, one.feather) for one in made.create("masker")] == [("Extended", -0.1, 0), ("Hull", 0, 0.1)]


@pytest.mark.parametrize("argv, answer", [
    (["--masker", "hull", "extended", "--masker.feather", "0.1"],
     "The maskers 'hull', 'extended' have no option --masker.feather. Did you mean '--masker.hull.feather'"),
    (["--masker", "hull", "--masker.extended.feather", "0.1"], "The masker 'hull' has no option --masker.extended.feather."),
    (["--masker", "hull", "--masker.feather", "2"], "--masker.feather must be at least 0.0 and at most 0.5"),
    (["--masker", "hull", "extended", "--masker.hull.feather", "2"], "--masker.hull.feather must be at least"),
    (["--masker", "", "--masker.feather", "0.1"], "--masker.feather belongs to a plugin: say which with --masker NAME"),
    (["--masker", "hull", "hul"], "--masker: There is no masker 'hul'. Did you mean 'hull'"),
    (["--size", "63"], "--size must be at least 64 and at most 1024, not 63"),
    (["--size", "2.5"], "--size needs a whole number, not '2.5'"),
    (["--size", "big"], "--size needs a whole number, not 'big'"),
    (["--min-score", "nan"], "--min-score needs a number, not 'nan'"),
    (["--mode", "god"], "--mode must be one of fast, good, not 'god'. Did you mean 'good'"),
    (["--detector", "hug"], "-D/--detector: There is no detector 'hug'. Did you mean 'hog'"),
    (["--detector.upsampel", "2"], "The detector 'hog' has no option --detector.upsampel. Did you mean '--detector.upsample'"),
    (["--detector.upsample", "99"], "--detector.upsample must be at least 0"),
    (["--writer.rate", "18"], "--writer.rate belongs to a plugin: say which with --writer NAME"),  # videos and animations have it
    (["--writer.crf", "18", "--writer.depth", "16"], "--writer.crf belongs to a plugin: say which with --writer NAME"),
    (["--writer.cdec", "hevc"], "say which with --writer NAME. Did you mean '--writer.codec'?"),
    (["--writer.crf", "99"], "--writer.crf must be at least 0"),
    (["--sise", "99"], "There is no option --sise. Did you mean '--size'"),
    (["--siz", "99"], "There is no option --siz. Did you mean '--size'"),
    (["stray"], "'stray' belongs to no option"),
    (["--size"], "expected one argument"),
    (["-i", ""], "-i/--input needs a path, not ''"),
    (["--config", "missing.toml"], "Cannot read the configuration file missing.toml: No such file"),
])
def test_a_mistake_is_answered_in_one_line(parse, argv, answer):
    with pytest.raises(UsageError) as caught:
        parse(*argv)
    assert answer in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_that_is_required_and_missing_is_named(tmp_path):
    script = tmp_path / "sample.py"
    script.write_text(SCRIPT)
    with pytest.raises(UsageError, match="sample needs -i/--input"):
        parsing.parse("sample", declarations(script)[-1], [])


def test_help_tells_defaults_bounds_choices_and_options_of_the_chosen_plugin(parse, capsys):
    with pytest.raises(SystemExit) as caught:
        parse("--detector", "hog", "--help")
    assert caught.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for words in ("More about it.", "-i, --input PATH", "Required.", "Side in 100 % of pixels.", "64 to 1024.",
                  "--mode {fast,good} How. Default: fast.", "--no-flip", "--detector.upsample N", "detector hog:"):
        assert words in shown


class TestConfig:
    def values(self, tmp_path, text: str, *argv) -> dict:
        config = tmp_path / "faceswap.toml"
        config.write_text(text)
        return parsing.parse("extract", parsing.declaration("extract"), ["-i", "in", "--config", str(config), *argv])

    def test_file_over_default_and_command_line_over_file(self, tmp_path):
        text = '[extract]\nsize = 300\nmin-face = 20\ndetector = "hog"\n[detector.hog]\nupsample = 0\nmin_score = 0.7\n'
        values = self.values(tmp_path, text, "--size", "400", "--detector.upsample", "2")
        assert (values["size"], values["min_face"], values["detector"]) == (400, 20, "hog")
        assert values["plugin_options"]["detector"] == {"upsample": 2, "min_score": 0.7}

    @pytest.mark.parametrize("chosen", ['"extended"', '["extended"]'])
    def test_one_or_several_plugins_of_a_kind(self, tmp_path, chosen):
        values = self.values(tmp_path, f"[extract]\nmasker = {chosen}\n[masker.extended]\nfeather = 0.2\n[masker.hull]\nfeather = 0.3\n")
        assert values["masker"] == ["extended"] and values["plugin_options"]["masker.extended"] == {"feather": 0.2}
        assert "masker.hull" not in values["plugin_options"]

    def test_settings_of_a_plugin_that_is_not_chosen_are_left_alone(self, tmp_path):
        values = self.values(tmp_path, "[detector.hog]\nupsample = 0\n", "-D", "yunet")
        assert values["plugin_options"]["detector"] == {}

    @pytest.mark.parametrize("text, answer", [
        ("[extarct]\nsize = 3\n", r"there is no table \[extarct\]. Did you mean 'extract'"),
        ("[extract]\nsise = 3\n", r"there is no 'sise' in \[extract\]. Did you mean 'size'"),
        ("[extract]\nsize = 3\n", r"size in \[extract\] must be at least"),
        ("[extract]\nsize = 300.5\n", r"size in \[extract\] needs a whole number, not 300.5"),
        ("[extract]\nsize = true\n", "needs a whole number, not True"),
        ("[detector.hug]\nupsample = 1\n", r"\[detector.hug\]: There is no detector 'hug'. Did you mean 'hog'"),
        ("[detector.hog]\nupsampel = 1\n", r"there is no 'upsampel' in \[detector.hog\]. Did you mean 'upsample'"),
        ("[detector]\nupsample = 1\n", "upsample = 1 stands outside a table"),
        ("size = 3\n", "there is no table"),
        ("extract = 3\n", "extract = 3 stands outside a table"),
        ("[extract\n", "not valid TOML"),
    ])
    def test_what_does_not_exist_is_refused(self, tmp_path, text, answer):
        with pytest.raises(UsageError, match=answer):
            self.values(tmp_path, text)


def test_a_declaration_that_is_not_literal_is_our_error_with_its_line(tmp_path):
    script = tmp_path / "sample.py"
    script.write_text("class Sample:\n    size: int = option(SIZE, 'Side.')\n")
    with pytest.raises(FaceswapError, match="sample.py:2: option size must be declared with literals alone"):
        declarations(script)


def test_reading_a_declaration_does_not_import_it(tmp_path):
    script = tmp_path / "sample.py"
    script.write_text(SCRIPT)  # it imports a module that does not exist
    assert [item.name for item in declarations(script)[-1].options][:2] == ["input", "detector"]


BEYOND = ("1" + "0" * 100, "-1" + "0" * 100, "9" * 5000, "nan", "inf", "-inf", "1e400", "1e300")


def test_numbers_beyond_all_measure_are_wrong_usage():
    """Of every option that is a number, of commands and of plugins."""
    declared = [parsing.declaration(command) for command in parsing.commands()]
    declared += [registry.declaration(name) for registry in REGISTRIES.values() for name in registry.names()]
    numbers = [item for declaration in declared for item in declaration.options
               if item.kind.removeprefix("list[").rstrip("]") in ("int", "float")]
    assert len(numbers) > 100
    for item in numbers:
        for text in BEYOND:
            for given in (text, [text]) if item.several else (text,):
                with pytest.raises(UsageError) as told:
                    item.value(given, "--x")
                assert "\n" not in str(told.value) and len(str(told.value)) < 400


@pytest.mark.parametrize("arguments, words", [
    (["train", "--seed", "4294967296"], "--seed must be at"),
    (["gather", "--max-size", "inf"], "--max-size needs a number"),
    (["extract", "-i", "~nosuchuser/x"], "there is no user 'nosuchuser'"),
    (["extract", "--config", "~nosuchuser/x"], "there is no user 'nosuchuser'"),
    (["extract", "-i", "x" * 5000], "has 5000 characters"),
])
def test_values_that_cannot_be(arguments, words):
    with pytest.raises(UsageError, match=words):
        parsing.parse(arguments[0], parsing.declaration(arguments[0]), arguments[1:])


@pytest.mark.parametrize("text, words", [
    ("a" + ".a" * 100_000 + " = 1", "dots"),
    ("[extract]\nsize = " + "[" * 10_000, "deep"),
    ("[extract]\nsize = 0x" + "f" * 10_000, "64 bits"),
    ("[extract]\nsize = inf", "needs a whole number"),
    ("[extract]\nsize = 1" + "0" * 18, "at most"),
], ids=lambda value: value[:24])
def test_a_configuration_file_that_goes_beyond_the_limits(tmp_path, text, words):
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(UsageError, match=words):
        parsing.parse("extract", parsing.declaration("extract"), ["--config", str(tmp_path / "x.toml")])


def test_options_that_commands_share_are_declared_once(tmp_path):
    script = tmp_path / "sample.py"
    script.write_text("""
from lib.jobs.mask import MaskSettings

class Signed:
    label: str | None = option(None, "Words in the picture.", group="Marks", rare=True)

class Sample(MaskSettings, Signed):
    \"\"\"A command.\"\"\"
    size: int = option(3, "Side.")
    masker: list[str] = option(["hull"], "Its own.", plugin="maskers")

def run(settings: Sample) -> int:
    return 0
""")
    declared = settings_of(script)
    assert declared.name == "Sample" and [item.name for item in declared.options] == [
        "size", "masker", "action", "input", "alignments", "output", "overlay", "faces", "frames", "count", "name", "label"]
    assert declared.options[1].default == ["hull"]  # the nearest declaration counts


@pytest.mark.parametrize("ask, shown", [(["--help"], False), (["--help", "all"], True)])
def test_rare_options_are_listed_where_all_are_asked_for(tmp_path, capsys, ask, shown):
    script = tmp_path / "sample.py"
    script.write_text("""
class Sample:
    \"\"\"A command.\"\"\"
    input: Path = option(help="What to read.", short="-i")
    size: int = option(3, "Side.", group="Faces")
    seed: int = option(3, "Number.", group="Faces", rare=True)

def run(settings: Sample) -> int:
    return 0
""")
    with pytest.raises(SystemExit):
        parsing.parse("sample", settings_of(script), ask)
    said = capsys.readouterr().out
    assert "usage: faceswap.py sample -i PATH [options]" in said and "Faces:" in said and ("--seed" in said) == shown
    assert ("--help all lists 1 more" in said) != shown
    assert parsing.parse("sample", settings_of(script), ["-i", "x", "--seed", "9"])["seed"] == 9


def test_settings_made_in_python_are_checked_like_a_command_line():
    from lib.jobs.mask import MaskSettings

    made = MaskSettings(input="clip.mp4", masker=["hull"])
    assert made.input == Path("clip.mp4") and made.plugin_options == {}
    with pytest.raises(UsageError, match="overlay must be at least 1"):
        MaskSettings(input="clip.mp4", masker=["hull"], overlay=0)


ALIASED = '''
"""A command."""
from lib.settings import Settings

class Shared(Settings):
    aligner: str = option("dlib68", "Landmarks.", short="-A")
    checkpoint: str | None = option(None, "Which weights.", short="-c", aliases=("save",))

class Sample(Shared):
    """Try options."""
    input: Path = option(help="What to read.", short="-A")

def run(settings: Sample) -> int: ...
'''


@pytest.fixture
def aliased(tmp_path):
    script = tmp_path / "sample.py"
    script.write_text(ALIASED)
    return settings_of(script)


@pytest.mark.parametrize("flag", ["-c", "--checkpoint", "--save"])
def test_an_option_is_known_by_its_earlier_name_too(aliased, capsys, flag):
    assert parsing.parse("sample", aliased, ["-A", "x", flag, "7"])["checkpoint"] == "7"
    with pytest.raises(SystemExit):
        parsing.parse("sample", aliased, ["--help"])
    assert "--checkpoint" in (shown := capsys.readouterr().out) and "--save" not in shown


def test_a_short_flag_is_that_of_the_commands_own_option(aliased):
    assert {item.name: item.short for item in aliased.options} == {"input": "-A", "aligner": None, "checkpoint": "-c"}
