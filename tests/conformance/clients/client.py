"""Uses the generated Python client as its readers do: `client.py URL TOKEN` prints what it got as JSON."""

import json
import sys
from uuid import UUID

from pglambda_client import AuthenticatedClient
from pglambda_client.api.executions import execute_batch, execute_session
from pglambda_client.api.sessions import close_session, get_session, initialize_session
from pglambda_client.models import (
    BatchBody,
    ErrorBody,
    ErrorCode,
    ExecuteBody,
    GetSessionFieldsItem,
    InitializeBody,
    InitializeBodyContext,
    SessionResponse,
)

UNKNOWN = UUID("01a2101f-9ff2-79ec-8000-00000000ffff")

url, token = sys.argv[1:]
client = AuthenticatedClient(url, token)
context = InitializeBodyContext.from_dict({"rate": 2})
body = InitializeBody(
    script_content="def handle(params, context):\n    return [params, context['rate']]", context=context
)
session = initialize_session.sync(client=client, body=body, language_title="python-generated")
executed = execute_session.sync(session.request_id, client=client, body=ExecuteBody(params={"a": [1, None]}))
bare = execute_session.sync(session.request_id, client=client)
items = BatchBody(items=[ExecuteBody(params=1), ExecuteBody(params=2)])
lines = execute_batch.sync(session.request_id, client=client, body=items)
shown = get_session.sync(session.request_id, client=client)
fields = [GetSessionFieldsItem.VERSION, GetSessionFieldsItem.STATUS]
picked = get_session.sync_detailed(session.request_id, client=client, fields=fields)
missing = get_session.sync(UNKNOWN, client=client)
closed = close_session.sync_detailed(session.request_id, client=client, if_match='"1"')
assert isinstance(shown, SessionResponse)
assert isinstance(missing, ErrorBody)
assert missing.error.code is ErrorCode.SESSION_NOT_FOUND
results = {
    "executed": executed.result,
    "bare": bare.result,
    "batch": [json.loads(line)["result"] for line in lines.splitlines()],
    "count": shown.execution_count,
    "picked": json.loads(picked.content),
    "error": missing.error.code.value,
    "closed": closed.status_code.value,
}
sys.stdout.write(json.dumps(results))
