"""Every strategy has a look of its own, and those shown together stay apart for any eye."""

import itertools

import numpy as np
import pytest

from abm.report.look import BASE, BOUND, LOOKS, look_of, looks_of
from abm.scenario.names import STRATEGIES

# Machado, Oliveira and Fernandes (2009), severity 1, of linear RGB.
EYES = {
    "all cones": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}
TO_XYZ = [
    [0.4124564, 0.3575761, 0.1804375],
    [0.2126729, 0.7151522, 0.0721750],
    [0.0193339, 0.1191920, 0.9503041],
]
TOGETHER = (
    (BOUND, BASE, "uncoordinated", "evms", "coordinated", "mpc"),
    ("evms", "evms_immediate", "evms_herd", "evms_guaranteed", BOUND),
    ("uncoordinated", "dimming", "off_peak", "throttling", "operating_envelopes", BOUND),
)


def linear(color):
    values = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(color, eye):
    """CIELAB of "#RRGGBB" as this eye sees it, white of D65."""
    seen = np.clip(np.asarray(EYES[eye]) @ linear(color), 0.0, 1.0)
    xyz = np.asarray(TO_XYZ) @ seen / (0.95047, 1.0, 1.08883)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def apart(one, other, eye):
    return float(np.linalg.norm(lab(one.color, eye) - lab(other.color, eye)))


def test_colours_as_this_test_sees_them():
    assert lab("#FFFFFF", "all cones") == pytest.approx([100.0, 0.0, 0.0], abs=0.02)
    # Red and green of the same lightness are much alike to those who lack a cone, and to no others.
    red, green = (type(LOOKS["evms"])(color, "-", "o", "") for color in ("#C25B5B", "#8A8A3C"))
    assert apart(red, green, "all cones") > 2.0 * apart(red, green, "deuteranopia")


@pytest.mark.parametrize("names", TOGETHER, ids="-".join)
@pytest.mark.parametrize("eye", EYES)
def test_what_is_shown_together_differs_in_colour_dash_and_mark(names, eye):
    for one, other in itertools.combinations(map(look_of, names), 2):
        assert apart(one, other, eye) > 13.0, (one.label, other.label)
        assert one.marker != other.marker
        assert one.dash != other.dash or BOUND in (one.label, other.label)


def test_every_strategy_has_a_look_that_no_other_has():
    assert set(STRATEGIES) <= set(LOOKS)
    marks = [look.marker for look in LOOKS.values()]
    assert len(set(marks)) == len(marks)
    lines = {(look.color, look.dash) for look in LOOKS.values()}
    assert len(lines) == len(LOOKS)


def test_on_white_every_colour_can_be_seen():
    for name in (*LOOKS, *(f"my_rules:Mine{i}" for i in range(20))):
        luminance = np.asarray(TO_XYZ)[1] @ linear(look_of(name).color)
        assert 1.05 / (luminance + 0.05) > 2.2, name
        ink = np.asarray(TO_XYZ)[1] @ linear(look_of(name).ink)
        assert 1.05 / (ink + 0.05) > 4.4, name
    assert look_of(BOUND).ink == "#000000"


def test_a_strategy_of_ones_own_looks_the_same_everywhere_and_like_none_of_ours():
    names = [f"my_rules:Mine{i}" for i in range(40)]
    ours = {(look.color, look.dash) for look in LOOKS.values()}
    for name in names:
        assert look_of(name) == look_of(name)
        assert look_of(name).label == name
        assert (look_of(name).color, look_of(name).dash) not in ours
    # What a figure shows beside it does not change it.
    assert looks_of(["evms", names[0]])[names[0]] == look_of(names[0])


def test_several_of_ones_own_are_kept_apart_in_a_figure():
    names = ["evms", *(f"my_rules:Mine{i}" for i in range(9)), "coordinated"]
    found = looks_of(names)
    assert list(found) == names
    assert len({(look.color, look.dash) for look in found.values()}) == len(names)
    # More than there are looks are drawn all the same.
    assert len(looks_of([f"rule{i}" for i in range(50)])) == 50


def test_other_names_of_the_bound_and_the_base():
    assert look_of("bound_cost").color == look_of(BOUND).color
    assert look_of("base").color == look_of("without EVs").color == look_of(BASE).color
    assert look_of("EVMS").color == look_of("evms").color
    assert look_of("G2V").color == look_of("uncoordinated").color
    assert look_of("EVMS").label == "EVMS"


def test_looks_are_what_matplotlib_and_plotly_take():
    from matplotlib.lines import Line2D
    from plotly.graph_objects import Scatter

    for look in (*LOOKS.values(), *map(look_of, (f"rule{i}" for i in range(20)))):
        assert Line2D([], [], marker=look.marker, **look.line).get_color() == look.color
        Scatter(line={"dash": look.plotly_dash}, marker={"symbol": look.plotly_marker})
