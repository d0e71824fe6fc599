// Reads all orders page by page with the types that openapi-typescript made, and prints what it got as JSON.
// Arguments: the internal address, a token, and the time since which orders have changed.
import createClient from "openapi-fetch";
import type { components, paths } from "./unvarnished.js";

const [url, token, since] = process.argv.slice(2) as [string, string, string];
const client = createClient<paths>({ baseUrl: url, headers: { authorization: `Bearer ${token}` } });

type Page = components["schemas"]["OrderPage"];

async function page(query: NonNullable<paths["/v1/orders"]["get"]["parameters"]["query"]>): Promise<Page> {
  const { data, error } = await client.GET("/v1/orders", { params: { query } });
  if (data === undefined || !("orders" in data)) throw new Error(JSON.stringify(error));
  return data;
}

const orders: string[] = [];
let pages = 0;
let after: string | null = null;
do {
  const found: Page = await page({ limit: 2, after });
  orders.push(...found.orders.map((order) => order.order_id));
  pages += 1;
  after = found.next;
} while (after !== null);

const changed = await page({ modified_since: since });
const one = await client.GET("/v1/orders/{order_id}", { params: { path: { order_id: orders[0]! } } });
const report = await client.GET("/v1/report");
const { error } = await client.GET("/v1/orders", { params: { query: { modified_since: "yesterday" } } });

console.log(
  JSON.stringify({
    orders,
    pages,
    changed: changed.orders.map((order) => order.order_id),
    order: one.data!.order_id,
    delivered: report.data!.total.delivered,
    field: error!.field,
  }),
);
