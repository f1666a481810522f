"""The program's own server class with the tools, resources and prompts that the official conformance suite asks for.

    python tests/conformance/server.py DATA_DIRECTORY PORT

It serves on loopback, with sessions: the questions of the older era need them; `serve --http` itself keeps none.
Everything passes the same way as the real tools: names of arguments, roles, time limit, audit trail.
"""

from __future__ import annotations

import base64
import inspect
import json
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, TypeAlias, cast

import anyio
import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.server.mcpserver.tools import Tool
from mcp.shared.exceptions import MCPError
from mcp.types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    CallToolResult,
    ContentBlock,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequestParams,
)
from pydantic import BaseModel, Field

from commission_mcp import server as real
from commission_mcp.app import App, open_administration, open_app
from commission_mcp.domain.caller import Role
from commission_mcp.server import CommissionServer
from commission_mcp.settings import Settings, load_settings
from commission_mcp.storage import Client, LoginLimits, add_client, find_client

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # one pixel
WAV = base64.b64encode(
    b"RIFF\x26\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00"
    b"data\x02\x00\x00\x00\x00\x00"
).decode()
STATE_KEY = b"conformance".ljust(32, b"-")

Any_ctx: TypeAlias = Context[App, Any]
Question: TypeAlias = ElicitRequest | CreateMessageRequest | ListRootsRequest
Handler: TypeAlias = Callable[..., Awaitable[Any]]


def text(words: str) -> TextContent:
    return TextContent(type="text", text=words)


def answer(*content: ContentBlock) -> CallToolResult:
    return CallToolResult(content=list(content))


def embedded(uri: str, mime_type: str, words: str) -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=mime_type, text=words))


# --- Tools of both eras ---


async def test_simple_text() -> CallToolResult:
    """Answer with text."""
    return answer(text("This is a simple text response for testing."))


async def test_image_content() -> CallToolResult:
    """Answer with an image."""
    return answer(ImageContent(type="image", data=PNG, mime_type="image/png"))


async def test_audio_content() -> CallToolResult:
    """Answer with sound."""
    return answer(AudioContent(type="audio", data=WAV, mime_type="audio/wav"))


async def test_embedded_resource() -> CallToolResult:
    """Answer with a resource."""
    return answer(embedded("test://embedded-resource", "text/plain", "This is an embedded resource content."))


async def test_multiple_content_types() -> CallToolResult:
    """Answer with several kinds of content."""
    return answer(
        text("Multiple content types test:"),
        ImageContent(type="image", data=PNG, mime_type="image/png"),
        embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    )


async def test_error_handling() -> CallToolResult:
    """Fail on purpose."""
    raise RuntimeError("This tool intentionally returns an error for testing")


async def test_tool_with_progress(ctx: Any_ctx) -> CallToolResult:
    """Report progress."""
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100)
        await anyio.sleep(0.05)
    return answer(text("done"))


async def test_tool_with_logging(ctx: Any_ctx) -> CallToolResult:
    """Send log messages."""
    for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(words)  # pyright: ignore[reportDeprecated] - the older era has it
        await anyio.sleep(0.05)
    return answer(text("done"))


async def test_logging_tool(ctx: Any_ctx) -> CallToolResult:
    """Send a log message, for whoever asked for some."""
    await ctx.info("a log message")  # pyright: ignore[reportDeprecated] - as above
    return answer(text("done"))


# --- Tools that ask in the older era, while they run ---


async def test_sampling(prompt: Annotated[str, Field(description="For the model.")], ctx: Any_ctx) -> CallToolResult:
    """Ask the host's model."""
    message = SamplingMessage(role="user", content=text(prompt))
    result = await ctx.session.create_message(messages=[message], max_tokens=100)  # pyright: ignore[reportDeprecated] - as above
    said = result.content.text if isinstance(result.content, TextContent) else ""
    return answer(text(f"LLM response: {said}"))


class Address(BaseModel):
    """Who the user is."""

    username: str = Field(description="User's response")
    email: str = Field(description="User's email address")


class Defaults(BaseModel):
    """A default of every kind."""

    name: str = Field(default="John Doe", description="Name")
    age: int = Field(default=30, description="Age")
    score: float = Field(default=95.5, description="Score")
    status: str = Field(
        default="active", description="Status", json_schema_extra={"enum": ["active", "inactive", "pending"]}
    )
    verified: bool = Field(default=True, description="Verified")


def titled(*pairs: tuple[str, str]) -> list[Any]:
    return [{"const": value, "title": title} for value, title in pairs]


class Choices(BaseModel):
    """An enumeration of every kind."""

    untitledSingle: str = Field(description="One", json_schema_extra={"enum": ["option1", "option2", "option3"]})  # noqa: N815 - the suite's names
    titledSingle: str = Field(  # noqa: N815 - the suite's name
        description="One, titled",
        json_schema_extra={"oneOf": titled(("value1", "First"), ("value2", "Second"), ("value3", "Third"))},
    )
    legacyEnum: str = Field(  # noqa: N815 - the suite's name
        description="One, in the older form",
        json_schema_extra={"enum": ["opt1", "opt2", "opt3"], "enumNames": ["One", "Two", "Three"]},
    )
    untitledMulti: list[str] = Field(  # noqa: N815 - the suite's name
        description="Some", json_schema_extra={"items": {"type": "string", "enum": ["option1", "option2", "option3"]}}
    )
    titledMulti: list[str] = Field(  # noqa: N815 - the suite's name
        description="Some, titled",
        json_schema_extra={"items": {"anyOf": titled(("value1", "First"), ("value2", "Second"), ("value3", "Third"))}},
    )


async def elicited(ctx: Any_ctx, message: str, schema: type[BaseModel], before: str) -> CallToolResult:
    result = await ctx.elicit(message, schema)
    content = result.data.model_dump_json() if result.action == "accept" else "{}"
    return answer(text(f"{before}: action={result.action}, content={content}"))


async def test_elicitation(message: Annotated[str, Field(description="The question.")], ctx: Any_ctx) -> CallToolResult:
    """Ask the user."""
    return await elicited(ctx, message, Address, "User response")


async def test_elicitation_sep1034_defaults(ctx: Any_ctx) -> CallToolResult:
    """Ask the user, with defaults."""
    return await elicited(ctx, "Who are you?", Defaults, "Elicitation completed")


async def test_elicitation_sep1330_enums(ctx: Any_ctx) -> CallToolResult:
    """Ask the user to choose."""
    return await elicited(ctx, "Choose.", Choices, "Elicitation completed")


# --- Tools that ask in the newer era, in rounds ---


def form(message: str, **properties: str) -> ElicitRequest:
    schema = {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in properties.items()},
        "required": list(properties),
    }
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def sample(words: str, tokens: int) -> CreateMessageRequest:
    messages = [SamplingMessage(role="user", content=text(words))]
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=messages, max_tokens=tokens))


def asking(requests: dict[str, Question], state: str | None = None) -> InputRequiredResult:
    return InputRequiredResult(input_requests=requests, request_state=state)


def answered(ctx: Any_ctx, *names: str) -> bool:
    return set(names) <= set(ctx.input_responses or {})


def one_round(name: str, about: str, requests: dict[str, Question], state: str | None = None) -> Handler:
    """A tool that asks once and then says what it was told."""

    async def tool(ctx: Any_ctx) -> CallToolResult | InputRequiredResult:
        if not answered(ctx, *requests) or ctx.request_state != state:
            return asking(requests, state)
        told = {key: value.model_dump(mode="json") for key, value in (ctx.input_responses or {}).items()}
        return answer(text(f"{'state-ok ' if state else ''}{json.dumps(told)}"))

    tool.__name__, tool.__doc__ = name, about
    return tool


NAME: dict[str, Question] = {"user_name": form("What is your name?", name="string")}
ROUNDS = (
    one_round("test_input_required_result_elicitation", "Ask for a name.", NAME),
    one_round(
        "test_input_required_result_sampling",
        "Ask the model.",
        {"capital_question": sample("What is the capital of France?", 100)},
    ),
    one_round("test_input_required_result_list_roots", "Ask for roots.", {"client_roots": ListRootsRequest()}),
    one_round(
        "test_input_required_result_request_state",
        "Ask for a confirmation.",
        {"confirm": form("Please confirm", ok="boolean")},
        "a state",
    ),
    one_round(
        "test_input_required_result_multiple_inputs",
        "Ask for several things.",
        {**NAME, "greeting": sample("Generate a greeting", 50), "client_roots": ListRootsRequest()},
        "a state",
    ),
    one_round(
        "test_input_required_result_tampered_state",
        "Ask with a state.",
        {"confirm": form("Sure?", ok="boolean")},
        "a state",
    ),
)


async def test_input_required_result_multi_round(ctx: Any_ctx) -> CallToolResult | InputRequiredResult:
    """Ask twice."""
    if answered(ctx, "step2") and ctx.request_state == "two":
        return answer(text("done"))
    if answered(ctx, "step1") and ctx.request_state == "one":
        return asking({"step2": form("Step 2: What is your favorite color?", color="string")}, "two")
    return asking({"step1": form("Step 1: What is your name?", name="string")}, "one")


async def test_input_required_result_capabilities(ctx: Any_ctx) -> CallToolResult | InputRequiredResult:
    """Ask what the client can answer."""
    capabilities = ctx.client_capabilities
    requests: dict[str, Question] = {}
    if capabilities is not None and capabilities.elicitation is not None:
        requests |= NAME
    if capabilities is not None and capabilities.sampling is not None:
        requests["capital_question"] = sample("What is the capital of France?", 100)
    return asking(requests) if requests and not answered(ctx, *requests) else answer(text("done"))


async def test_missing_capability(ctx: Any_ctx) -> CallToolResult:
    """Need a capability."""
    if ctx.client_capabilities is None or ctx.client_capabilities.sampling is None:
        data: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(code=MISSING_REQUIRED_CLIENT_CAPABILITY, message="This needs sampling.", data=data)
    return answer(text("done"))


async def test_streaming_elicitation(ctx: Any_ctx) -> CallToolResult | InputRequiredResult:
    """Report progress, then ask."""
    await ctx.report_progress(1, 2)
    return answer(text("done")) if answered(ctx, *NAME) else asking(NAME)


TOOLS = (
    test_simple_text,
    test_image_content,
    test_audio_content,
    test_embedded_resource,
    test_multiple_content_types,
    test_error_handling,
    test_tool_with_progress,
    test_tool_with_logging,
    test_logging_tool,
    test_sampling,
    test_elicitation,
    test_elicitation_sep1034_defaults,
    test_elicitation_sep1330_enums,
    *ROUNDS,
    test_input_required_result_multi_round,
    test_input_required_result_capabilities,
    test_missing_capability,
    test_streaming_elicitation,
)


# --- Resources and prompts ---


def add_resources(server: MCPServer[App]) -> None:
    @server.resource("test://static-text", mime_type="text/plain")
    def static_text() -> str:
        """A text."""
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", mime_type="image/png")
    def static_binary() -> bytes:
        """An image."""
        return base64.b64decode(PNG)

    @server.resource("test://watched-resource", mime_type="text/plain")
    def watched() -> str:
        """A text to subscribe to."""
        return "Watched."

    @server.resource("test://template/{id}/data", mime_type="application/json")
    def template(id: str) -> str:  # noqa: A002 - the suite's name
        """A family of texts."""
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def add_prompts(server: MCPServer[App]) -> None:
    @server.prompt()
    def test_simple_prompt() -> list[UserMessage]:
        """A prompt."""
        return [UserMessage(text("This is a simple prompt for testing."))]

    @server.prompt()
    def test_prompt_with_arguments(arg1: str, arg2: str) -> list[UserMessage]:
        """A prompt with arguments."""
        return [UserMessage(text(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"))]

    @server.prompt()
    def test_prompt_with_embedded_resource(
        resourceUri: str,  # noqa: N803 - the suite's name
    ) -> list[UserMessage]:
        """A prompt with a resource."""
        resource = embedded(resourceUri, "text/plain", "Embedded resource content for testing.")
        return [UserMessage(resource), UserMessage(text("Please process the embedded resource above."))]

    @server.prompt()
    def test_prompt_with_image() -> list[UserMessage]:
        """A prompt with an image."""
        image = ImageContent(type="image", data=PNG, mime_type="image/png")
        return [UserMessage(image), UserMessage(text("Please analyze the image above."))]

    @server.prompt()
    async def test_input_required_result_prompt(
        ctx: Any_ctx,
    ) -> list[UserMessage] | InputRequiredResult:
        """A prompt that asks first."""
        if not answered(ctx, "user_context"):
            return asking({"user_context": form("What context should the prompt use?", context="string")})
        return [UserMessage(text("With context."))]


def add_methods(server: MCPServer[App]) -> None:
    """Methods of the older era that this product has no use for; the suite only looks at their answers."""
    low = server._lowlevel_server  # pyright: ignore[reportPrivateUsage] - there is no public way
    for method, params in (
        ("logging/setLevel", SetLevelRequestParams),
        ("resources/subscribe", SubscribeRequestParams),
        ("resources/unsubscribe", UnsubscribeRequestParams),
    ):

        async def accept(_ctx: object, _params: object) -> EmptyResult:
            return EmptyResult()

        low.add_request_handler(method, params, accept)


# --- The server ---


def everybody(_: str) -> frozenset[Role]:
    """These tools, resources and prompts are nobody's business but the suite's."""
    return frozenset(Role)


def fixture_server(settings: Settings) -> CommissionServer:
    """The real class with the suite's tools."""
    for table in ("tool_roles", "resource_roles", "prompt_roles"):
        setattr(real, table, everybody)

    @asynccontextmanager
    async def lifespan(running: MCPServer[App]) -> AsyncGenerator[App]:
        async with open_app(settings) as app:
            with cast("CommissionServer", running).running(app):
                yield app

    tools = [Tool.from_function(tool, description=inspect.getdoc(tool), structured_output=False) for tool in TOOLS]
    server = CommissionServer(tools, lifespan)
    add_resources(server)
    add_prompts(server)
    add_methods(server)

    @server.completion()
    async def complete(*_: object) -> None:
        return None

    return server


async def prepare(settings: Settings) -> None:
    """Have the client that everybody acts for."""
    async with open_administration(settings) as (connection, credentials):
        if await find_client(connection, "acme") is None:
            await add_client(connection, Client("acme", "Acme"), credentials, LoginLimits())


def main() -> None:
    """Serve until interrupted."""
    data, port = Path(sys.argv[1]).absolute(), int(sys.argv[2])
    overrides = {"data_directory": data, "client_id": "acme", "roles": ",".join(Role), "log_level": "warning"}
    settings = load_settings(environment={}, overrides=overrides).settings
    anyio.run(prepare, settings)
    uvicorn.run(fixture_server(settings).streamable_http_app(), host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main()
