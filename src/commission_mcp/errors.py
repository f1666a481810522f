"""What can go wrong on purpose: problems with a stable code, and the one exception that carries them.

An anticipated failure is a `Refused`. It names every problem of the input at once, each with a code that never changes
its meaning, what is wrong in words, where, and the next step that would work. Whatever is not a `Refused` is a crash.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PROBLEMS_META = "commission-mcp/problems"
"""Where in an answer's `_meta` a program finds the problems of a refusal."""


class Code(StrEnum):
    """Every problem code, append-only: a published code keeps its meaning for good."""

    # Asking in SQL
    SQL_EMPTY = "E_SQL_EMPTY"  # no statement in the text
    SQL_TOO_LONG = "E_SQL_TOO_LONG"  # more text than a statement may have
    SQL_TOO_DEEP = "E_SQL_TOO_DEEP"  # nested or chained beyond the limit
    SQL_SYNTAX = "E_SQL_SYNTAX"  # not PostgreSQL's grammar
    SQL_SEVERAL = "E_SQL_SEVERAL"  # more than one statement
    SQL_NOT_SELECT = "E_SQL_NOT_SELECT"  # writes, DDL, session and utility commands
    SQL_EXPLAIN = "E_SQL_EXPLAIN"  # EXPLAIN shows estimates over other clients' rows
    SQL_INTO = "E_SQL_INTO"  # SELECT INTO creates a table
    SQL_LOCKING = "E_SQL_LOCKING"  # FOR UPDATE and its kin
    SQL_FUNCTION = "E_SQL_FUNCTION"  # a function that is not on the list
    SQL_TYPE = "E_SQL_TYPE"  # a cast to a type that is not on the list
    SQL_OPERATOR = "E_SQL_OPERATOR"  # an operator of another schema
    SQL_RELATION = "E_SQL_RELATION"  # a table or view that does not exist here
    SQL_COLUMN = "E_SQL_COLUMN"  # a column that does not exist
    SQL_FORM = "E_SQL_FORM"  # a construct that is not offered (TABLESAMPLE, system columns, (x).f, ...)
    SQL_PARAMS = "E_SQL_PARAMS"  # placeholders and values do not match
    SQL_PARAM_TYPE = "E_SQL_PARAM_TYPE"  # the type of a placeholder or of its value does not fit
    SQL_VALUE = "E_SQL_VALUE"  # a value that the database cannot compute with (division by zero, out of range)
    SQL_MEANING = "E_SQL_MEANING"  # grammatical, but without meaning (GROUP BY, ambiguity, type clash)
    SQL_COST = "E_SQL_COST"  # would build a value beyond the limits
    SQL_TIMEOUT = "E_SQL_TIMEOUT"  # stopped at the time limit
    SQL_RESOURCES = "E_SQL_RESOURCES"  # stopped at the memory, disk or size limit
    SQL_DENIED = "E_SQL_DENIED"  # the database itself refused permission

    # Calling
    ARGUMENT_UNKNOWN = "E_ARGUMENT_UNKNOWN"
    ARGUMENT = "E_ARGUMENT"  # an argument of the wrong type or outside its range
    CURSOR_INVALID = "E_CURSOR_INVALID"  # not a cursor of this server, or of another caller or question
    CURSOR_STALE = "E_CURSOR_STALE"  # the data changed, or the cursor expired
    ROLE_REQUIRED = "E_ROLE_REQUIRED"
    TOOL_UNKNOWN = "E_TOOL_UNKNOWN"
    NOT_FOUND = "E_NOT_FOUND"
    TIMEOUT = "E_TIMEOUT"  # the call as a whole took too long
    BUSY = "E_BUSY"  # no connection became free in time

    # Clients and users
    CLIENT_ID = "E_CLIENT_ID"  # not a well-formed client id
    CLIENT_UNKNOWN = "E_CLIENT_UNKNOWN"
    CLIENT_EXISTS = "E_CLIENT_EXISTS"
    CLIENT_DISABLED = "E_CLIENT_DISABLED"
    CLIENT_MISMATCH = "E_CLIENT_MISMATCH"  # an asserted client_id that is not the caller's
    CLIENT_AMBIGUOUS = "E_CLIENT_AMBIGUOUS"  # the token grants several, and the connection names none
    CLIENT_NOT_GRANTED = "E_CLIENT_NOT_GRANTED"  # the connection names one that the token does not grant
    TOKEN = "E_TOKEN"  # noqa: S105 - a code: no token, or one that is not accepted
    TOKEN_KEYS = "E_TOKEN_KEYS"  # noqa: S105 - a code: the keys that the token is checked with cannot be fetched now
    RATE = "E_RATE"  # more calls than the limit allows
    AUDIT = "E_AUDIT"  # what was asked could not be put on record, so it is not answered
    USER_UNKNOWN = "E_USER_UNKNOWN"  # the caller is not a user of the client

    # Settings and set-up
    SETTING = "E_SETTING"  # a setting with an unusable value
    SETTING_UNKNOWN = "E_SETTING_UNKNOWN"
    DATA_DIRECTORY = "E_DATA_DIRECTORY"  # cannot be used
    DATA_DIRECTORY_NEWER = "E_DATA_DIRECTORY_NEWER"  # written by a newer program
    SERVER_START = "E_SERVER_START"  # an embedded server did not start
    PLATFORM = "E_PLATFORM"  # not on this operating system
    DATABASE_UNREACHABLE = "E_DATABASE_UNREACHABLE"
    DATABASE_VERSION = "E_DATABASE_VERSION"
    DATABASE_RIGHTS = "E_DATABASE_RIGHTS"  # setup needs rights that the login lacks
    DATABASE_NOT_PREPARED = "E_DATABASE_NOT_PREPARED"
    ISOLATION = "E_ISOLATION"  # the self-check found a way past the isolation
    MIGRATION = "E_MIGRATION"  # an applied migration is not the one of this program
    REDIS_UNREACHABLE = "E_REDIS_UNREACHABLE"
    REDIS_FULL = "E_REDIS_FULL"  # no memory left for what has to be kept
    REDIS_READ_ONLY = "E_REDIS_READ_ONLY"  # a replica, or it cannot write to its disk

    BACKEND = "E_BACKEND"  # the client's backend does not answer, or not as it should

    # Conversations
    HISTORY_KEY = "E_HISTORY_KEY"  # sealed with a key that this server does not have

    # Importing
    IMPORT_FILE = "E_IMPORT_FILE"  # the file cannot be read at all
    IMPORT_COLUMN = "E_IMPORT_COLUMN"  # a missing, doubled or unknown column
    IMPORT_VALUE = "E_IMPORT_VALUE"  # a cell that does not hold what it should
    IMPORT_REFERENCE = "E_IMPORT_REFERENCE"  # a key that names nothing
    IMPORT_CONFLICT = "E_IMPORT_CONFLICT"  # one key, several different rows

    # Documents
    DOCUMENT_NAME = "E_DOCUMENT_NAME"  # no plain path inside the folder
    DOCUMENT_TYPE = "E_DOCUMENT_TYPE"  # not a format that is read, or its content is not what its name says
    DOCUMENT_EMPTY = "E_DOCUMENT_EMPTY"  # there is no text in it
    DOCUMENT_DAMAGED = "E_DOCUMENT_DAMAGED"  # broken, cut off, or made to break its reader
    DOCUMENT_ENCRYPTED = "E_DOCUMENT_ENCRYPTED"  # needs a password
    DOCUMENT_TOO_LARGE = "E_DOCUMENT_TOO_LARGE"  # itself, unpacked, its pictures, or the memory that it takes
    DOCUMENT_TOO_SLOW = "E_DOCUMENT_TOO_SLOW"  # reading it took more than the time limit
    DOCUMENT_OCR_UNAVAILABLE = "E_DOCUMENT_OCR_UNAVAILABLE"  # its text is in pictures, and nothing here reads those

    # Plans and calculation
    JSON = "E_JSON"  # not JSON, too deep, or a field named twice
    FIELD_UNKNOWN = "E_FIELD_UNKNOWN"  # no such field here
    FIELD_MISSING = "E_FIELD_MISSING"
    FIELD_FORBIDDEN = "E_FIELD_FORBIDDEN"  # has no meaning beside the others
    FIELD_TYPE = "E_FIELD_TYPE"  # not of the JSON type that the field has
    UNKNOWN = "E_UNKNOWN"  # a value that is not among the allowed or known ones
    NUMBER = "E_NUMBER"  # not a plain decimal number, or outside its range
    NEGATIVE = "E_NEGATIVE"
    DATE = "E_DATE"
    LIMIT = "E_LIMIT"  # more entries than may be sent at a time
    DUPLICATE = "E_DUPLICATE"  # named twice
    CURRENCY = "E_CURRENCY"
    SCHEDULE_MISMATCH = "E_SCHEDULE_MISMATCH"  # payments are no whole multiple of calculations
    BASE_VALUE = "E_BASE_VALUE"  # a base that the plan type does not count
    TIER_COUNT = "E_TIER_COUNT"  # no tiers, or several where one is allowed
    TIER_START = "E_TIER_START"  # the first tier does not begin at 0
    TIER_OPEN = "E_TIER_OPEN"  # only the last tier is open, and it must be
    TIER_EMPTY = "E_TIER_EMPTY"  # a tier that ends where or before it begins
    TIER_OVERLAP = "E_TIER_OVERLAP"
    TIER_GAP = "E_TIER_GAP"
    TIER_MIXED = "E_TIER_MIXED"  # two notations in one table
    ASSIGN_CONFLICT = "E_ASSIGN_CONFLICT"  # two assignments of equal rank for the same sales
    AMBIGUOUS = "E_AMBIGUOUS"  # rules of equal rank claim a sale
    NO_QUOTA = "E_NO_QUOTA"  # a quota above 0 is needed
    NO_TARGET = "E_NO_TARGET"  # a target incentive is needed
    NO_MEASURE = "E_NO_MEASURE"  # the figure of a measure is needed
    NO_BASE = "E_NO_BASE"  # a sale lacks the figure that counts
    NO_COST = "E_NO_COST"  # a margin without a cost
    NO_QUANTITY = "E_NO_QUANTITY"
    FX = "E_FX"  # a foreign currency without a rate
    REFUND = "E_REFUND"  # a refund without its sale, or of the wrong sign
    PERIOD = "E_PERIOD"  # a period that cannot be calculated: it overlaps another one, or is not over
    PERIOD_PAID = "E_PERIOD_PAID"  # what was paid is not calculated over
    PAYOUT_STATE = "E_PAYOUT_STATE"  # the payout is not in a state for this
    OWN_PAYOUT = "E_OWN_PAYOUT"  # nobody approves the own payout, or one of an own run

    # The embedding model
    MODEL_MISSING = "E_MODEL_MISSING"  # not fetched yet, or no such model
    MODEL_DAMAGED = "E_MODEL_DAMAGED"  # its files are not the published ones
    MODEL_FETCH = "E_MODEL_FETCH"  # it could not be fetched
    MODEL_EXTRA = "E_MODEL_EXTRA"  # it needs an extra that is not installed
    LEXICON = "E_LEXICON"  # a client's own lexicon is not of the form

    # The wizard and approvals
    NAME_TAKEN = "E_NAME_TAKEN"  # another plan in use has the name
    CHANGE_AMBIGUOUS = "E_CHANGE_AMBIGUOUS"  # "by 1 %": points, or per cent of each rate?
    DRAFT_AMBIGUOUS = "E_DRAFT_AMBIGUOUS"  # several drafts are open, and none is named
    DRAFT_CLOSED = "E_DRAFT_CLOSED"  # submitted already
    DRAFT_INCOMPLETE = "E_DRAFT_INCOMPLETE"
    REVISION = "E_REVISION"  # not the revision that was reviewed
    PLAN_STATE = "E_PLAN_STATE"  # the version is not in a state for this
    PLAN_HASH = "E_PLAN_HASH"  # not the hash of the version
    OWN_PLAN = "E_OWN_PLAN"  # an author decides on no plan of the own

    # Looking after an installation
    STDOUT_POLLUTED = "E_STDOUT_POLLUTED"  # something else than the protocol comes out of stdout
    INDEX_STALE = "E_INDEX_STALE"  # documents changed since they were read
    INDEX_DAMAGED = "E_INDEX_DAMAGED"  # not what was written
    BACKUP_FILE = "E_BACKUP_FILE"  # not a backup of this program, damaged, or of another version

    # Keeping the audit trail
    AUDIT_RETENTION = "E_AUDIT_RETENTION"  # entries that have to be kept longer
    AUDIT_BROKEN = "E_AUDIT_BROKEN"  # the trail is not whole, so nothing of it is removed
    AUDIT_FILE = "E_AUDIT_FILE"  # an archive of entries that cannot be written or read

    # Warnings
    UNORDERED_PAGE = "W_UNORDERED_PAGE"  # pages of an unordered answer may repeat or miss rows
    TRUNCATED = "W_TRUNCATED"
    SETTING_IGNORED = "W_SETTING_IGNORED"  # understood, and without effect here
    SETTING_LOOKALIKE = "W_SETTING_LOOKALIKE"  # ignored, but nearly the name of a setting
    NORMALISED = "W_NORMALISED"  # tiers written inclusively, and how they were read
    TIER_ORDER = "W_TIER_ORDER"  # tiers were sorted
    SLAB_CLIFF_DOWN = "W_SLAB_CLIFF_DOWN"  # selling more pays less
    LOOKS_LIKE_FRACTION = "W_LOOKS_LIKE_FRACTION"  # 0.05: five percent, or a twentieth of one?
    RATE_ABOVE_100 = "W_RATE_ABOVE_100"
    MULTIPLIER = "W_MULTIPLIER"  # 0 or above 10
    PARTIAL_PERIOD = "W_PARTIAL_PERIOD"  # validity is not aligned to calculation periods
    NAME_DATES = "W_NAME_DATES"  # the name says another quarter than the dates
    APPROVAL_IGNORED = "W_APPROVAL_IGNORED"  # an outcome of an approval that the caller stated
    CREDIT_TOTAL = "W_CREDIT_TOTAL"  # credits of a sale do not add up to 100 %
    SEVERAL_PERIODS = "W_SEVERAL_PERIODS"  # sales of several periods under a schedule that was not stated
    NO_EVENT = "W_NO_EVENT"  # what is held back waits for an event that stored sales do not tell
    UNMATCHED = "W_UNMATCHED"  # sales that earned nothing
    PLAN_OVERLAP = "W_PLAN_OVERLAP"  # another live plan pays for the same
    VERSION_PENDING = "W_VERSION_PENDING"  # an earlier version still waits for decisions
    VERSION_RETURNS = "W_VERSION_RETURNS"  # an older version counts again behind the new one
    PLAN_GAP = "W_PLAN_GAP"  # days on which no version of the plan counts
    DRAFT_CONTINUED = "W_DRAFT_CONTINUED"  # no draft was named, and one was taken
    NO_QUOTA_YET = "W_NO_QUOTA"  # payees without the quota that the plan counts by
    BACKEND_LISTS = "W_BACKEND_LISTS"  # the lists of the client's backend could not be read
    BACKEND_UNKNOWN = "W_BACKEND_UNKNOWN"  # a name that the client's backend does not have
    DECLINED = "W_DECLINED"  # the user answered no form


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        code: What kind of problem; stable, made for programs.
        message: What is wrong, in words for the person who sent the input.
        fix: What to do instead: the next call, the allowed values, the nearest name.
        path: Where: the argument, setting, or line, such as ``tiers[1].from`` or ``line 17``.
        position: Where in a text: the offset of a character, counted from 0.
    """

    code: Code
    message: str
    fix: str = ""
    path: str = ""
    position: int | None = None

    def __str__(self) -> str:
        """The problem as one paragraph: code, place, message, fix."""
        offset = "" if self.position is None else f"at character {self.position}"
        place = "".join(f" ({part})" for part in (self.path, offset) if part)
        fix = f" Fix: {self.fix}" if self.fix else ""
        return f"{self.code}{place}: {self.message}{fix}"


class Refused(Exception):  # noqa: N818 - a refusal is an outcome, not an error of the program
    """The request is refused, for all of these reasons."""

    def __init__(self, *problems: Problem) -> None:
        if not problems:
            raise ValueError("a refusal needs at least one problem")
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        """All problems, one a line."""
        return "\n".join(str(problem) for problem in self.problems)
