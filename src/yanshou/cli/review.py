"""`yanshou review`."""

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from yanshou.cli.command import command
from yanshou.cli.messages import print_warnings, say
from yanshou.cli.settings_options import settings_options
from yanshou.settings import ReviewSettings

if TYPE_CHECKING:
    from yanshou.review.start import Started
    from yanshou.review.store.store import Store
    from yanshou.review.web.addresses import Address

NETWORK = (
    "other machines can open the page (--allow-network). There is no TLS: whoever listens on the network can read what "
    "is sent, and use the links. Names have no passwords: everybody with the link can answer under any name"
)
OPEN = (
    "verdict and reason are shown from the start (--open), so these answers do not count as blind. Groups of the audit "
    "are in a queue of their own, with nothing shown"
)


@command("Serves a page on which people judge doubtful groups.")
@settings_options(ReviewSettings, arguments={"files": "[FILE]..."})
def review(settings: ReviewSettings) -> None:
    """Serves a web page on which people judge groups (通过, 不通过 or 不确定): possible false releases, doubtful groups
    and the groups of an audit. Every answer is on the disk before the next group appears.

    The first start imports the files. Later starts without files continue; with files they add groups. Ctrl-C ends the
    server. `yanshou review-export` makes a labels file of the answers."""
    from yanshou.review.web.packages import check_packages

    check_packages()
    _serve(settings)


def _serve(settings: ReviewSettings) -> None:
    from yanshou.cli.signals import interruptible
    from yanshou.missions import load_missions
    from yanshou.review.start import started
    from yanshou.review.web.addresses import listen
    from yanshou.review.web.app import create_app
    from yanshou.review.web.serve import PageServer

    missions = load_missions(settings.mission_files)
    bound, address = listen(settings.host, settings.port)
    if settings.files:
        say(f"reading {len(settings.files)} files …")
    with closing(bound), started(settings, missions) as start:
        _report(start, settings, address)
        app = create_app(
            start.store,
            missions,
            hosts=address.names(),
            lang=settings.lang,
            network=address.reached_from_network,
            tell=lambda line: print_warnings([line]),
        )
        server = PageServer(app, bound)
        with interruptible(server.stop):
            for line in _links(start.store, address):
                say(line)
            server.serve_until_stopped()
    say(f"stopped: every answer is in {settings.store}")


def _report(start: "Started", settings: ReviewSettings, address: "Address") -> None:
    print_warnings(start.imported.warnings if start.imported else ())
    for line in start.lines():
        say(line)
    print_warnings([OPEN] if settings.open else ())
    print_warnings([NETWORK] if address.reached_from_network else ())


def _links(store: "Store", address: "Address") -> Iterator[str]:
    yield f"for reviewers: {address.link('/start', store.key('reader'))}"
    yield ""
    yield f"for the lead alone: {address.link('/lead', store.key('lead'))}"
    yield ""
    yield "Ctrl-C ends the server"
