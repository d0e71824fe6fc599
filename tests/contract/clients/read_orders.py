"""Reads all orders page by page with the client that `openapi-python-client` made, and prints what it got as JSON.

Arguments: the internal address, a token, and the time since which orders have changed.
"""

import json
import sys
from datetime import datetime

from unvarnished_client import AuthenticatedClient
from unvarnished_client.api.orders import get_order, list_orders
from unvarnished_client.api.read import get_report
from unvarnished_client.models import OrderPage, OrderView, Problem, ReportOut

url, token, since = sys.argv[1:]
client = AuthenticatedClient(base_url=url, token=token)

orders, pages, after = [], 0, None
while pages == 0 or after is not None:
    page = list_orders.sync(client=client, limit=2, after=after)
    assert isinstance(page, OrderPage)
    assert all(isinstance(order.delivered_at, datetime) for order in page.orders)
    orders += [order.order_id for order in page.orders]
    pages, after = pages + 1, page.next_

changed = list_orders.sync(client=client, modified_since=since)
assert isinstance(changed, OrderPage)
one = get_order.sync(order_id=orders[0], client=client)
assert isinstance(one, OrderView)
report = get_report.sync(client=client)
assert isinstance(report, ReportOut)
problem = list_orders.sync(client=client, modified_since="yesterday")
assert isinstance(problem, Problem)

print(
    json.dumps(
        {
            "orders": orders,
            "pages": pages,
            "changed": [order.order_id for order in changed.orders],
            "order": one.order_id,
            "delivered": report.total.delivered,
            "field": problem.field,
        }
    )
)
