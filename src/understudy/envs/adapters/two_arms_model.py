"""The workbench of two arms as MuJoCo sees it: sizes, masses and torques, and the model they make.

World frame, metres: the top of the platform is z = 0, its middle the origin. The left arm stands at
(-half_width, 0) and the right one, turned half round, at (half_width, 0), so that the whole bench
looks the same after half a turn.
"""

from __future__ import annotations

import numpy as np

from understudy.types import Fixed, hyperparameters, require

CONTROL = 0.02
"""Seconds of one control step."""
PHYSICS = 2
"""Physics steps of one control step."""
HALF_HEIGHT = 0.065
"""Of the object, metres; its centre at rest."""
HALF_THICKNESS = 0.03
"""Of the bars that make the plus, metres."""
FALLEN = -0.02
"""Height of the object's centre below which it has fallen, metres."""
LINK, HAND = 0.025, 0.045
"""Radii of an arm's links and of its hand, metres."""
BEND = 2.6
"""Furthest angle of an elbow, rad."""
HEIGHT = 0.08
"""Of the arms, metres: they clear the platform and meet the object and each other."""


@hyperparameters
class Workbench:
    """Sizes in metres, masses in kg, torques in N m."""

    half_width: Fixed = 0.85
    """Half the distance between the shoulders, which stand on the edges."""
    half_depth: Fixed = 0.3
    """Half the platform across."""
    upper: Fixed = 0.4
    """From shoulder to elbow."""
    lower: Fixed = 0.4
    """From elbow to hand."""
    bar: Fixed = 0.2
    """Half the length of each bar of the plus."""
    mass: Fixed = 1.5
    """Of the object."""
    friction: Fixed = 0.25
    """Between object and platform."""
    shoulder: Fixed = 1.5
    """Torque of a shoulder at an action of 1."""
    elbow: Fixed = 1.0
    """Torque of an elbow at an action of 1."""
    damping: Fixed = 0.3
    """Of every joint, N m s / rad."""
    swing: Fixed = 0.6
    """Furthest angle of a shoulder from straight ahead, rad."""
    spread: tuple[Fixed, Fixed] = (0.15, 0.26)
    """The object begins within this of the middle, along and across."""
    bend: Fixed = 0.6
    """Joints begin within this of an arm stretched out straight ahead, rad."""

    def __post_init__(self) -> None:
        for name in ("half_width", "half_depth", "upper", "lower", "bar", "mass", "friction",
                     "shoulder", "elbow", "damping"):  # fmt: skip
            found = getattr(self, name)
            require(found > 0, f"expected {name} above 0, found {found}; give a positive number")
        along, across = self.spread
        require(
            0 <= along < self.half_width and 0 <= across < self.half_depth,
            f"expected a spread inside of the platform of {self.half_width} x {self.half_depth}, "
            f"found {self.spread}; give smaller numbers",
        )
        require(
            0 <= self.bend <= self.swing <= np.pi / 2,
            f"expected 0 <= bend <= swing <= pi / 2, found bend {self.bend} and swing "
            f"{self.swing}; give other angles",
        )

    def edge(self, places: np.ndarray) -> np.ndarray:
        """How far places ``[..., 2]`` on the platform are from its nearest edge, metres."""
        return (np.array([self.half_width, self.half_depth]) - np.abs(places)).min(-1)


def mjcf(bench: Workbench) -> str:
    """The model: positions are two joints of the left arm, two of the right, and the free object.

    Everything but arm and platform touches. The platform's friction is the object's; hands are
    smoother.
    """
    return f"""
<mujoco model="two arms">
  <compiler angle="radian" autolimits="true"/>
  <option timestep="{CONTROL / PHYSICS}" integrator="implicitfast">
    <flag autoreset="disable"/>
  </option>
  <default>
    <joint axis="0 0 1" damping="{bench.damping}" armature="0.01"/>
    <geom friction="{bench.friction} 0.005 0.0001"/>
    <default class="arm"><geom contype="2" conaffinity="3" friction="0.25 0.005 0.0001"/></default>
    <default class="object"><geom contype="1" conaffinity="0" mass="{bench.mass / 2}"/></default>
  </default>
  <worldbody>
    <geom type="box" size="{bench.half_width} {bench.half_depth} 0.05" pos="0 0 -0.05"
      contype="0" conaffinity="1" priority="1"/>
    {_arm(bench, "left", -bench.half_width, 0.0)}
    {_arm(bench, "right", bench.half_width, np.pi)}
    <body name="object" pos="0 0 {HALF_HEIGHT}">
      <freejoint/>
      <geom class="object" type="box" size="{bench.bar} {HALF_THICKNESS} {HALF_HEIGHT}"/>
      <geom class="object" type="box" size="{HALF_THICKNESS} {bench.bar} {HALF_HEIGHT}"/>
    </body>
  </worldbody>
  <actuator>
    {_motors(bench, "left")}
    {_motors(bench, "right")}
  </actuator>
</mujoco>"""


def _arm(bench: Workbench, name: str, x: float, turn: float) -> str:
    return f"""
    <body name="{name}" pos="{x} 0 {HEIGHT}" euler="0 0 {turn}">
      <joint name="{name} shoulder" range="-{bench.swing} {bench.swing}"/>
      <geom class="arm" type="capsule" fromto="0 0 0 {bench.upper} 0 0" size="{LINK}" mass="0.4"/>
      <body pos="{bench.upper} 0 0">
        <joint name="{name} elbow" range="-{BEND} {BEND}"/>
        <geom class="arm" type="capsule" fromto="0 0 0 {bench.lower} 0 0" size="{LINK}" mass="0.3"/>
        <geom class="arm" type="sphere" pos="{bench.lower} 0 0" size="{HAND}" mass="0.1"/>
      </body>
    </body>"""


def _motors(bench: Workbench, name: str) -> str:
    return "".join(
        f'<motor joint="{name} {joint}" gear="{torque}" ctrlrange="-1 1"/>'
        for joint, torque in (("shoulder", bench.shoulder), ("elbow", bench.elbow))
    )
