"""Imports point one way, and heavy libraries stay where they belong (README.md, "Development")."""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from pathlib import Path

from teamnet.rules.registry import built_in_rules

PACKAGE = Path(__file__).parent.parent / "teamnet"
ORDER = [
    "errors", "values", "kernels", "dataflow", "operations", "rules", "spec", "units", "board", "team", "training",
    "callbacks", "study", "cli",
]
MODULES = sorted(PACKAGE.rglob("*.py"))


def _imports(path: Path) -> set[str]:
    """The modules that a file imports when it is imported itself or later, but for type checking."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _folder(name: str) -> str:
    return name.split(".")[1] if name.startswith("teamnet.") else ""


def test_imports_point_one_way():
    checked = 0
    for path in MODULES:
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if part not in ORDER:
            continue
        for name in _imports(path):
            if _folder(name) in ORDER:
                assert ORDER.index(_folder(name)) <= ORDER.index(part), f"{path} imports {name}"
                checked += 1
    assert checked > 100


def test_only_the_dataflow_derives_who_reads_and_writes():
    """Nothing else asks a rule for its slots and steps, or goes from a layer to its neighbours, but for weights."""
    weights = {"units/streams.py", "units/unit.py", "team/state.py"}
    others = {"training/policy.py", "study/reference.py"}  # NumPy forms
    asked, neighbours = set(), set()
    for path in MODULES:
        place = str(path.relative_to(PACKAGE))
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("slots", "steps", "free_steps"):
                if ast.unparse(node.value).endswith("rule"):
                    asked.add(place)
            elif isinstance(node, ast.Attribute) and node.attr in ("sources", "readers"):
                if ast.unparse(node.value).split("[")[0].split(".")[-1] in ("layer", "layers"):
                    neighbours.add(place)
            elif isinstance(node, ast.BinOp) and ast.unparse(node.left).endswith("layer.number"):
                neighbours.add(place)
    assert asked == {"dataflow/graph.py"}
    assert neighbours == {"dataflow/layers.py", "dataflow/ports.py", *weights, *others}


def test_the_name_of_a_rule_stands_in_its_file_and_beside_published_numbers_alone():
    names = built_in_rules()
    for path in MODULES:
        place = str(path.relative_to(PACKAGE))
        found = {
            node.value for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names
        }
        if place != "study/paper/published.py":
            assert all(f"teamnet.rules.{path.stem}" == names[name].__module__ for name in found), f"{place}: {found}"


def test_libraries_stay_in_their_places():
    allowed = {
        "ray": {
            f"team/ray_{name}.py" for name in (
                "cluster", "init", "metrics", "node_workers", "placement", "probe", "processes", "session", "sweep",
                "tasks", "worker_pool",
            )
        },
        "gymnasium": {
            *(f"training/{name}.py" for name in (
                "action_map", "action_masks", "agent", "environment_maker", "environment_place", "environment_workers",
                "environments",
                "episodes", "flat_actions",
                "given_environment", "normalisation", "plain_spaces", "registry", "row", "run", "spaces", "statistics",
                "structure", "trained_policy",
            )),
            "study/evaluate.py", "study/baselines.py", "study/bench/references.py",
        },
        "stable_baselines3": {"study/baselines.py"},
        "torch": {"study/baselines.py"},
        "numba": {"kernels/numba_types.py", "study/plan/events.py"},
    }
    for path in MODULES:
        place = str(path.relative_to(PACKAGE))
        for name in _imports(path):
            library = name.split(".")[0]
            if library in allowed:
                assert place in allowed[library] or place.split("/")[0] in allowed[library], f"{place} imports {name}"


def test_a_local_run_imports_neither_ray_nor_numba():
    code = (
        "import sys; from teamnet import TeamAgent\n"
        "with TeamAgent('cartpole', backend='local') as agent: agent.learn(env_steps=5)\n"
        "print([name for name in ('ray', 'numba', 'matplotlib') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    subprocess.run(command, check=True, capture_output=True)
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "[]\n"


def test_modules_are_small():
    lengths = [len(path.read_text().splitlines()) for path in MODULES]
    assert max(lengths) <= 300
    assert statistics.median(lengths) <= 130


def test_no_module_keeps_mutable_globals():
    for path in MODULES:
        tree = ast.parse(path.read_text())
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.Global)], path
        for node in tree.body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and "__all__" not in ast.unparse(node):
                assert not isinstance(node.value, ast.List | ast.Set), f"{path}:{node.lineno}"
