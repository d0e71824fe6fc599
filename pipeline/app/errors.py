"""What a user can mend is told in a sentence, by whichever command line it comes to light."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from pipeline.app.installation import Ended, WrongSetup
from pipeline.consumers.cluster.kafka.client import BrokerTrouble
from pipeline.settings import Unusable
from pipeline.sources.table import UnreadableSource


@contextmanager
def complaints() -> Iterator[None]:
    """What a user can mend is one sentence on stderr, without a traceback.

    Raises SystemExit: 2 if no further start would help, 1 if a bug ended it and said so itself.
    """
    try:
        yield
    except ValidationError as error:
        for problem in error.errors():
            name = "_".join(str(part) for part in problem["loc"]).upper()
            where = f"UNVARNISHED_{name}: " if name else ""  # what concerns several names them itself
            print(f"unvarnished: {where}{problem['msg']}", file=sys.stderr)
        raise SystemExit(2) from None
    except (WrongSetup, UnreadableSource, Unusable, BrokerTrouble) as error:
        fail(str(error))
    except Ended as error:
        print(f"unvarnished: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        fail(f"the database says: {str(cause).splitlines()[0]}")


def fail(message: str) -> NoReturn:
    """Say what is wrong in a sentence, and end with exit code 2."""
    print(f"unvarnished: {message}", file=sys.stderr)
    raise SystemExit(2)
