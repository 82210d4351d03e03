"""A small agent that speaks the Agent Client Protocol, scripted by its first word."""
import json, os, subprocess, sys

CASE = sys.argv[1]
HOME = os.path.expanduser("~/.local/share/small-agent")


def send(message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def update(session, **what):
    send({"method": "session/update", "params": {"sessionId": session, "update": what}})


def words(session, text):
    update(session, sessionUpdate="agent_message_chunk", content={"type": "text", "text": text})


def read():
    line = sys.stdin.readline()
    return json.loads(line) if line else sys.exit(0)


def allowed(session, call):
    options = [{"optionId": "no", "name": "No", "kind": "reject_once"},
               {"optionId": "ever", "name": "Always", "kind": "allow_always"},
               {"optionId": "yes", "name": "Yes", "kind": "allow_once"}]
    send({"id": "ask-1", "method": "session/request_permission",
          "params": {"sessionId": session, "toolCall": {"toolCallId": call}, "options": options}})
    while True:
        answer = read()
        if answer.get("id") == "ask-1":
            return answer["result"]["outcome"].get("optionId")


def run(session, call, command):
    update(session, sessionUpdate="tool_call", toolCallId=call, title="shell", kind="execute", status="pending", rawInput={})
    update(session, sessionUpdate="tool_call_update", toolCallId=call, status="in_progress", rawInput={"command": command})
    given = allowed(session, call)
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    text = f"[{given}] {done.stdout}{done.stderr}"
    update(session, sessionUpdate="tool_call_update", toolCallId=call, status="completed" if done.returncode == 0 else "failed",
           content=[{"type": "content", "content": {"type": "text", "text": text}}])


def prompt(session, text):
    """Returns the result of the turn, or an error."""
    if CASE == "hides":
        words(session, "unexpected status 503 Service Unavailable: no")
        return {"stopReason": "end_turn"}, None
    if CASE == "limited":
        return None, {"code": -32603, "message": "Internal error", "data": {"errorKind": "rate_limit"}}
    if CASE == "dies":
        sys.exit(7)
    if CASE == "hangs":
        words(session, "I wait.")
        while True:
            message = read()
            if message.get("method") == "session/cancel":
                words(session, " I stop.")
                return {"stopReason": "cancelled"}, None
    with open(f"{HOME}/{session}", "a") as kept:
        kept.write(text.splitlines()[0] + "\n")
    told = open(f"{HOME}/{session}").read().count("\n")
    if CASE == "tools":
        words(session, "The order says: " + uses_tools(STATE["servers"][0]))
    update(session, sessionUpdate="mood_update", mood="fine")
    words(session, "I fix ")
    words(session, f"it, prompt {told}, mode {STATE.get('mode')}.")
    if "SENT BACK" in text:
        run(session, "c-1", "echo '# sums' >>calc.py")
    else:
        run(session, "c-1", "sed -i 's/a - b/a + b/' calc.py")
    words(session, "It is done.")
    return {"stopReason": "end_turn", "usage": {"totalTokens": 134, "inputTokens": 100, "outputTokens": 34, "cachedReadTokens": 50}}, None


def uses_tools(server):
    """Starts the server that it was given, and calls one of its tools."""
    assert server["env"] == [], server
    mcp = subprocess.Popen([server["command"], *server["args"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def call(number, method, params):
        mcp.stdin.write(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}) + "\n")
        mcp.stdin.flush()
        return json.loads(mcp.stdout.readline())["result"]

    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "small", "version": "1"}}
    call(1, "initialize", hello)
    mcp.stdin.write(json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}) + "\n")
    issue = call(2, "tools/call", {"name": "get_issue", "arguments": {}})["content"][0]["text"]
    call(3, "tools/call", {"name": "progress", "arguments": {"text": "I read it"}})
    mcp.stdin.close()
    mcp.wait()
    return json.loads(issue)["body"]


STATE = {}
MODES = {"currentModeId": "ask", "availableModes": [{"id": "ask", "name": "Ask"}, {"id": "yolo", "name": "Yolo"}]}
os.makedirs(HOME, exist_ok=True)
print("this is no message", flush=True)
while True:
    message = read()
    method, params, result, error = message.get("method"), message.get("params", {}), {}, None
    if method == "initialize":
        result = {"protocolVersion": 2 if CASE == "newer" else 1, "agentCapabilities": {"loadSession": True},
                  "agentInfo": {"name": "small", "version": "0.1"}}
        send({"id": "file-1", "method": "fs/read_text_file", "params": {"path": "/etc/passwd"}})
        refused = read()
        assert refused["error"]["code"] == -32601, refused
        # What no version of the protocol knows, and an answer that nobody waits for.
        send({"method": "_small/mood", "params": {"mood": "fine"}})
        send({"id": 4711, "result": {}})
    elif method == "session/new":
        STATE["servers"] = params["mcpServers"]
        result = {"sessionId": f"s-{os.urandom(4).hex()}", "modes": MODES}
    elif method == "session/load":
        STATE["servers"] = params["mcpServers"]
        if os.path.exists(f"{HOME}/{params['sessionId']}"):
            words(params["sessionId"], "THIS WAS BEFORE")
            result = {"modes": MODES}
        else:
            error = {"code": -32002, "message": "no such session"}
    elif method == "session/set_mode":
        if CASE == "refuses" and params["modeId"] == "yolo":
            error = {"code": -32603, "message": "not in this folder"}
        else:
            STATE["mode"] = params["modeId"]
    elif method == "session/prompt":
        result, error = prompt(params["sessionId"], params["prompt"][0]["text"])
    else:
        continue
    send({"id": message["id"], "error": error} if error else {"id": message["id"], "result": result})
