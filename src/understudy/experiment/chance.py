"""The policy that knows nothing, under the name by which evaluation knows it."""

from understudy.envs.chance import Random as Random
