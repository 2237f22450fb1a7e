// One feature of an MCP server as the TypeScript SDK sees it: node driver.mjs FEATURE MODE TARGET
//
// MODE is v1 (the SDK's 1.x line), handshake or stateless (its 2.x line). TARGET is JSON, {"url"} or
// {"command", "args", "env"}. Prints one JSON object: what was observed.

const WATCHED = "test://watched-resource";

async function load(mode, target) {
  if (mode === "v1") {
    const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
    const types = await import("@modelcontextprotocol/sdk/types.js");
    const http = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
    const stdio = await import("@modelcontextprotocol/sdk/client/stdio.js");
    const schemas = {
      "elicitation/create": types.ElicitRequestSchema,
      "notifications/resources/updated": types.ResourceUpdatedNotificationSchema,
    };
    return { Client, schema: (name) => schemas[name], transport: transport(http, stdio, target) };
  }
  const { Client, ...http } = await import("@modelcontextprotocol/client");
  const stdio = await import("@modelcontextprotocol/client/stdio");
  return { Client, schema: (name) => name, transport: transport(http, stdio, target) };
}

function transport(http, stdio, target) {
  if (target.url) return new http.StreamableHTTPClientTransport(new URL(target.url));
  return new stdio.StdioClientTransport({ ...target, stderr: "ignore" });
}

const text = (result) => result.content[0].text;

const features = {
  async connect(client) {
    return { server: Boolean(client.getServerCapabilities()?.tools) };
  },
  async list(client) {
    const { tools } = await client.listTools();
    const { resources } = await client.listResources();
    const { resourceTemplates } = await client.listResourceTemplates();
    const { prompts } = await client.listPrompts();
    return {
      tools: tools.map((tool) => tool.name),
      resources: resources.map((resource) => resource.uri),
      templates: resourceTemplates.map((template) => template.uriTemplate),
      prompts: prompts.map((prompt) => prompt.name),
    };
  },
  async call(client) {
    const result = await client.callTool({ name: "echo", arguments: { text: "hé" } });
    return { text: text(result), structured: result.structuredContent };
  },
  async elicit(client) {
    const call = { name: "test_elicitation", arguments: { message: "Who?" } };
    return { text: text(await client.callTool(call)) };
  },
  async progress(client, { call }) {
    const seen = [];
    const onprogress = (update) => seen.push([update.progress, update.total]);
    await call(client, { name: "test_tool_with_progress", arguments: {} }, { onprogress });
    return { seen };
  },
  async cancel(client, { call }) {
    const count = async () =>
      Number(text(await client.callTool({ name: "test_cancelled_calls", arguments: {} })));
    const before = await count();
    const stop = new AbortController();
    const options = { signal: stop.signal, onprogress: () => stop.abort("enough") };
    let rejected = false;
    try {
      await call(client, { name: "test_slow", arguments: { seconds: 60 } }, options);
    } catch {
      rejected = true;
    }
    while ((await count()) === before) await new Promise((next) => setTimeout(next, 20));
    return { rejected, upstream: "cancelled" };
  },
  async subscribe(client, { mode, schema }) {
    const updated = new Promise((resolve) =>
      client.setNotificationHandler(schema("notifications/resources/updated"), (update) =>
        resolve(update.params.uri),
      ),
    );
    if (mode === "stateless") await client.listen({ resourceSubscriptions: [WATCHED] });
    else await client.subscribeResource({ uri: WATCHED });
    await client.callTool({ name: "touch_resource", arguments: { uri: WATCHED } });
    return { updated: await updated };
  },
};

const [feature, mode, json] = process.argv.slice(2);
const { Client, schema, transport: wire } = await load(mode, JSON.parse(json));
const negotiation = mode === "stateless" ? { versionNegotiation: { mode: { pin: "2026-07-28" } } } : {};
const client = new Client(
  { name: "typescript-driver", version: "1.0.0" },
  { capabilities: { elicitation: {} }, ...negotiation },
);
client.setRequestHandler(schema("elicitation/create"), async () => ({
  action: "accept",
  content: { username: "ada", email: "ada@example.com" },
}));
await client.connect(wire);
const call = (who, params, options) =>
  mode === "v1" ? who.callTool(params, undefined, options) : who.callTool(params, options);
const observed = await features[feature](client, { mode, schema, call });
console.log(JSON.stringify(observed));
await client.close();
process.exit(0);
