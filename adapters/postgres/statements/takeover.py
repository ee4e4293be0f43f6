"""The statements of a takeover."""

from attrs import field, frozen

from adapters.postgres.connections.statement import Statement
from adapters.postgres.statements.files import UNPREPARED


@frozen
class TakeoverStatements:
    """Statements of `takeover.sql`."""

    select_takeover: Statement
    insert_takeover: Statement
    update_takeover_stage: Statement
    update_takeover_options: Statement
    update_takeover_source: Statement
    update_takeover_progress: Statement
    load_inbound: Statement = field(metadata=UNPREPARED)
    receive_inbound: Statement
    select_made_here: Statement
    select_inbound: Statement
    select_live_inbound: Statement
    delete_inbound: Statement
    take_sessions: Statement
    untake_sessions: Statement
    own_sessions: Statement
    delete_fencing: Statement
    select_taken: Statement
    select_taken_page: Statement
    select_takeover_counts: Statement
    select_stage: Statement
    select_holding: Statement


@frozen
class RecordingStatements:
    """Statements of `recordings.sql`."""

    select_recording: Statement
    start_recording: Statement
    record_calls: Statement
    select_unjudged: Statement
    update_judgements: Statement
    delete_judgements: Statement
    select_judgements: Statement
    select_recorded_counts: Statement
    delete_recording: Statement
    delete_recorded_calls: Statement


@frozen
class SessionReturnStatements:
    """Statements of `session_returns.sql`."""

    hold_takeover: Statement
    leave_takeover: Statement
    select_held: Statement
    select_returnable: Statement
    select_user_ids: Statement
    select_return_census: Statement
    close_sessions: Statement
    divert_sessions: Statement
    await_begins: Statement
    select_outgoing: Statement
    release_sessions: Statement
    reopen_sessions: Statement
    select_unsettled: Statement
    add_late_counts: Statement


@frozen
class VerificationStatements:
    """Statements of `verification.sql`."""

    select_stored_digests: Statement
    select_next_stored: Statement
    select_taken_contents: Statement
