"""A pytest plugin that runs the tests once, and then for each mutant those that reach it, in a fork of what is set up.

mutmut makes the mutants; its own runner starts pytest anew for each, which takes longer than the tests do. Here a
child begins where the session stands: everything is imported and collected, and the database is in memory.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path
from types import ModuleType

import hypothesis.extra._patching  # noqa: F401  (a failure imports it, in each child anew)
import pytest
from _pytest.runner import runtestprotocol
from asgiref.sync import SyncToAsync
from hypothesis import Phase, is_hypothesis_test, settings
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state

PLAN, OUTCOMES = Path("mutants.json"), Path("outcomes.json")
CHILDREN = int(os.environ.get("MUTATION_CHILDREN", os.cpu_count() or 1))
NONE = "no mutant"
JOINING = {"django_pkce_auth.writing", "django_pkce_auth.reading"}
"""The modules that keep larger statements."""
EXAMPLES = 10
MOST_LEFT_OUT = 5
TRIED_SECONDS = 30
"""A mutant that its nearest tests of so many seconds let live has survived: the share of killed ones is the least."""
PATIENCE_SECONDS = 30
"""What a child may take beyond 15 times what its tests took; only what runs for ever takes longer, and is noticed."""


class Mutation:
    def __init__(
        self, session: pytest.Session, mutants: dict[str, str], fresh: list[str], compiling: list[str]
    ) -> None:
        self.session, self.items = session, session.items
        self.mutants, self.fresh, self.compiling = mutants, fresh, compiling
        self.tests: dict[str, list[pytest.Item]] = defaultdict(list)
        self.seconds: dict[str, float] = {}
        self.left_out: list[pytest.Item] = []
        self.outcomes: dict[str, str] = {}
        self.children: dict[int, tuple[str, float, list[pytest.Item]]] = {}

    def passes(self, item: pytest.Item, others: Sequence[pytest.Item]) -> bool:
        """Run one test; what is set up for all of them stays, as there is always another one to come."""
        self.session._setupstate.teardown_exact(item)
        following = next(other for other in others if other is not item)
        return not any(report.failed for report in runtestprotocol(item, log=False, nextitem=following))

    def reach(self) -> None:
        """Note which test reaches which function, and how long it takes."""
        set_mutant_under_test("stats")
        for item in self.items:
            state()._stats.clear()
            begun = time.process_time()  # which a busy machine makes no longer: what is tried is what was tried
            if not self.passes(item, self.items):
                # It looks at a function itself, which stands behind another one that chooses the mutant.
                self.left_out.append(item)
                print(f"left out, as it fails without any mutant: {item.nodeid}", file=sys.__stderr__, flush=True)
                continue
            self.seconds[item.nodeid] = time.process_time() - begun
            for function in state()._stats:
                self.tests[function].append(item)
        if len(self.left_out) > MOST_LEFT_OUT:
            pytest.exit("too many tests fail without any mutant", returncode=1)
        self.items = [item for item in self.items if item not in self.left_out]
        set_mutant_under_test("")
        for module in (*self.fresh, *self.compiling):
            # Who reaches any of it uses what it made.
            functions = {each for each in {*self.tests, *self.mutants.values()} if module_of(each) == module}
            users = {item for function in functions for item in self.tests[function]}
            for function in functions:
                self.tests[function] = [item for item in self.items if item in users]
        for function, reached in self.tests.items():
            module = function.split(".")[-2]
            # What kills is mostly in the module's own tests, and then what is quick.
            reached.sort(key=lambda item: (module not in item.path.stem, self.seconds[item.nodeid]))

    def start(self, mutant: str, items: list[pytest.Item]) -> None:
        pid = os.fork()
        if not pid:
            self.child(mutant, items)
        allowed = PATIENCE_SECONDS + 15 * sum(self.seconds[item.nodeid] for item in items)
        self.children[pid] = (mutant, time.monotonic() + allowed, items)

    def child(self, mutant: str, items: list[pytest.Item]) -> None:
        """Never returns: 0 where every test passed, 1 where one failed, 2 where something else went wrong."""
        code = 2
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            # The threads of the parent are not in its fork.
            SyncToAsync.single_thread_executor = ThreadPoolExecutor(max_workers=1)
            set_mutant_under_test(mutant)
            code = 1  # where it can't even be imported
            for module in self.fresh:
                if mutant == NONE or module == module_of(mutant):
                    importlib.reload(sys.modules[module])
            if module_of(mutant) in self.compiling:
                forget_compiled(sys.modules[module_of(mutant)])
            code = 0
            for number, item in enumerate(items):
                if not self.passes(item, self.items):
                    Path(f"killer-{os.getpid()}").write_text(str(number))
                    code = 1
                    break
        finally:
            os._exit(code)

    def collect(self) -> None:
        """Wait until a child ends, and note what became of its mutant."""
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid in self.children:
                mutant, _, items = self.children.pop(pid)
                code = os.waitstatus_to_exitcode(status)
                told = {0: "survived", 1: "killed", -signal.SIGKILL: "timeout"}
                self.outcomes[mutant] = told.get(code, f"ended with {code}")
                if code == 1 and (killer := Path(f"killer-{pid}")).exists():
                    # What killed one mutant of a function is the first to be tried on the next.
                    found, tests = items[int(killer.read_text())], self.tests[mutant.partition("__mutmut_")[0]]
                    tests.remove(found)
                    tests.insert(0, found)
                    killer.unlink()
                return
            for overdue in [pid for pid, (_, end, _) in self.children.items() if time.monotonic() > end]:
                os.kill(overdue, signal.SIGKILL)
            time.sleep(0.005)

    def check_that_forks_are_sound(self) -> None:
        self.start(NONE, self.items)
        self.collect()
        if (outcome := self.outcomes.pop(NONE)) != "survived":
            pytest.exit(f"The tests fail in a fork without any mutant: {outcome}", returncode=1)

    def run(self) -> None:
        mutants = self.mutants
        order = sorted(mutants, key=lambda mutant: sum(self.seconds[i.nodeid] for i in self.tests[mutants[mutant]]))
        for number, mutant in enumerate(order):
            items = self.tests[mutants[mutant]]
            if not items:
                self.outcomes[mutant] = "no tests"
                continue
            while len(self.children) >= CHILDREN:
                self.collect()
            passed = accumulate(self.seconds[item.nodeid] for item in items)
            self.start(mutant, [item for item, seconds in zip(items, passed, strict=True) if seconds < TRIED_SECONDS])
            if number % 50 == 0:
                OUTCOMES.write_text(json.dumps(self.outcomes))
                print(f"\r{number:,} of {len(order):,}", end="", file=sys.__stderr__, flush=True)
        while self.children:
            self.collect()
        OUTCOMES.write_text(json.dumps(self.outcomes))


def forget_compiled(module: ModuleType) -> None:
    """Have a module's statements compiled anew, also where they are parts of a larger one."""
    larger = (each for name, each in sys.modules.items() if name in JOINING)
    for each in (*vars(module).values(), *larger):
        if hasattr(each, "_compiled"):
            each._compiled.clear()


def module_of(name: str) -> str:
    """Return the module of a mutant or of a function: both begin with it, and no function's name has a dot."""
    return name.rpartition(".")[0]


def draw_little(item: pytest.Item) -> None:
    """A rule has examples of its own as well; and the smallest input that kills is of no interest here."""
    test = getattr(item, "obj", None)
    if is_hypothesis_test(test):
        usual = test._hypothesis_internal_use_settings
        phases = (Phase.explicit, Phase.generate)
        test = getattr(test, "__func__", test)
        test._hypothesis_internal_use_settings = settings(
            usual, max_examples=EXAMPLES, phases=phases, database=None, deadline=None
        )


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    if session.testsfailed:
        raise session.Interrupted("errors during collection")
    for item in session.items:
        draw_little(item)
    mutation = Mutation(session, **json.loads(PLAN.read_text()))
    mutation.reach()
    mutation.check_that_forks_are_sound()
    mutation.run()
    return True
