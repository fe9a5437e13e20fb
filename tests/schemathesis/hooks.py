"""What Schemathesis cannot know of the server by its document alone."""

import os

import requests
import schemathesis

SERVER = os.environ["CRYPTOPAY_PUBLIC_URL"]
CREDENTIALS = {"username": "schemathesis", "password": "correct-horse-battery-9"}

access_token = None


def post(path, body=None, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = requests.post(SERVER + path, json=body, headers=headers, timeout=20)
    answer.raise_for_status()
    return answer.json()


def log_in():
    return post("/api/auth/login", CREDENTIALS)


@schemathesis.hook
def before_load_schema(context, raw_schema):
    # Whoever sends this header asks for an error, 500 included, and gets it: crates/http/tests/api/sandbox_error.rs.
    for path in raw_schema["paths"].values():
        for operation in path.values():
            operation["parameters"] = [
                parameter
                for parameter in operation.get("parameters", [])
                if parameter.get("$ref") != "#/components/parameters/SandboxError"
            ]
    post("/api/auth/register", {"email": "merchant@example.com", "shop_name": "Schemathesis", **CREDENTIALS})


@schemathesis.auth(refresh_interval=None)
class Login:
    """The merchant's access token, of a new login whenever an operation has ended the session."""

    def get(self, case, context):
        global access_token
        if access_token is None:
            access_token = log_in()["access"]
        return access_token

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def after_call(context, case, response):
    global access_token
    if response.status_code == 401 and response.request.headers.get("Authorization") == f"Bearer {access_token}":
        access_token = None


@schemathesis.hook
def before_add_examples(context, examples):
    """Requests that succeed, where chance never makes one."""
    operation = context.operation
    name = operation.definition.raw.get("operationId")
    if name == "login":
        examples.append(operation.Case(body=CREDENTIALS, media_type="application/json"))
    elif name == "refreshToken":
        examples.append(operation.Case(body={"refresh": log_in()["refresh"]}, media_type="application/json"))
    elif name == "diagnoseSignature":
        token = log_in()["access"]
        endpoint = post("/api/webhooks", {"url": "https://shop.example.com/", "events": ["*"]}, token)["id"]
        delivery = post(f"/api/webhooks/{endpoint}/test", token=token)["id"]
        examples.append(
            operation.Case(
                path_parameters={"id": endpoint, "delivery": delivery},
                body={"signature": "0" * 64},
                media_type="application/json",
            )
        )
