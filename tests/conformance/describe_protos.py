"""Describes protobuf messages as JSON, and fills them, with whichever definitions the running environment has.

The tests import it for our own messages. Run as a program, in the environment of the reference definitions, it reads a
job from standard input and prints the result:

    {"files": [module names], "messages": {full name: [base64, …]}}
    → {"described": {…}, "echoed": {full name: [[fields, base64], …]}, "made": {full name: [[fields, base64], …]}}

`echoed` is every given message parsed and written again; `made` are messages of the reference with all its fields set.
"""

from __future__ import annotations

import base64
import importlib
import json
import sys
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from google.protobuf.descriptor import Descriptor, FileDescriptor
    from google.protobuf.message import Message

Description = dict[str, dict[str, dict[str, Any]]]
"""Kind (`messages`, `enums`, `services`) → full name → member → what matters on the wire."""

_DEPTH = 5
_SCALARS: dict[int, Any] = {
    FieldDescriptor.CPPTYPE_INT32: 3,
    FieldDescriptor.CPPTYPE_INT64: 1 << 33,
    FieldDescriptor.CPPTYPE_UINT32: 7,
    FieldDescriptor.CPPTYPE_UINT64: 1 << 50,
    FieldDescriptor.CPPTYPE_DOUBLE: 0.5,
    FieldDescriptor.CPPTYPE_FLOAT: 0.5,
    FieldDescriptor.CPPTYPE_BOOL: True,
}


def describe(modules: Iterable[str]) -> Description:
    """Return what matters on the wire of every message, enum and service in generated `modules`."""
    described: Description = {"messages": {}, "enums": {}, "services": {}}
    for name in modules:
        file = importlib.import_module(name).DESCRIPTOR
        proto = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(proto)
        _describe_messages(described, proto.package, proto.message_type)
        _describe_enums(described, proto.package, proto.enum_type)
        for service in proto.service:
            described["services"][f"{proto.package}.{service.name}"] = {
                method.name: {
                    "takes": method.input_type,
                    "returns": method.output_type,
                    "streams": [method.client_streaming, method.server_streaming],
                }
                for method in service.method
            }
    return described


def _describe_messages(described: Description, scope: str, messages: Iterable[descriptor_pb2.DescriptorProto]) -> None:
    for message in messages:
        full_name = f"{scope}.{message.name}"
        described["messages"][full_name] = {
            field.name: {
                "number": field.number,
                "type": field.type,
                "label": field.label,
                "of": field.type_name,
                "oneof": message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else "",
                "optional": field.proto3_optional,
            }
            for field in message.field
        }
        _describe_enums(described, full_name, message.enum_type)
        _describe_messages(described, full_name, message.nested_type)


def _describe_enums(described: Description, scope: str, enums: Iterable[descriptor_pb2.EnumDescriptorProto]) -> None:
    for enum in enums:
        described["enums"][f"{scope}.{enum.name}"] = {value.name: {"number": value.number} for value in enum.value}


def messages_of(file: FileDescriptor) -> Iterator[Descriptor]:
    """Yield the messages of a file that are not inside another one."""
    yield from file.message_types_by_name.values()


def filled(descriptor: Descriptor) -> list[Message]:
    """Return messages that between them set every field of `descriptor`, each alternative of a oneof in one of them."""
    rounds = max([1, *(len(oneof.fields) for oneof in descriptor.oneofs)])
    made = []
    for turn in range(rounds):
        message = message_factory.GetMessageClass(descriptor)()
        _fill(message, turn, _DEPTH)
        made.append(message)
    return made


def _fill(message: Message, turn: int, depth: int) -> None:
    if message.DESCRIPTOR.full_name == "google.protobuf.Any":
        return  # what it holds is nobody's to invent
    for field in message.DESCRIPTOR.fields:
        oneof = field.containing_oneof
        if oneof is not None and oneof.fields[turn % len(oneof.fields)] != field:
            continue
        if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            if depth:
                _fill_message(message, field, turn, depth - 1)
        elif field.is_repeated:
            getattr(message, field.name).extend([_scalar(field), _scalar(field)])
        else:
            setattr(message, field.name, _scalar(field))


def _fill_message(message: Message, field: Any, turn: int, depth: int) -> None:
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        key = _scalar(inner.fields_by_name["key"])
        values = getattr(message, field.name)
        if inner.fields_by_name["value"].cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            _fill(values[key], turn, depth)
        else:
            values[key] = _scalar(inner.fields_by_name["value"])
    elif field.is_repeated:
        _fill(getattr(message, field.name).add(), turn, depth)
        _fill(getattr(message, field.name).add(), turn + 1, depth)
    else:
        getattr(message, field.name).SetInParent()
        _fill(getattr(message, field.name), turn, depth)


def _scalar(field: Any) -> Any:
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return field.enum_type.values[-1].number if field.enum_type is not None else 0
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return b"\x00\xff" if field.type == FieldDescriptor.TYPE_BYTES else f"{field.name} — é"
    return _SCALARS[field.cpp_type]


def written(message: Message) -> tuple[dict[str, Any], str]:
    """Return a message as named fields, and as base64 of its deterministic bytes."""
    fields = json_format.MessageToDict(message, preserving_proto_field_name=True, use_integers_for_enums=True)
    return fields, base64.b64encode(message.SerializeToString(deterministic=True)).decode()


def parsed(full_name: str, encoded: str) -> Message:
    """Return the message that base64 text holds."""
    descriptor = descriptor_pool.Default().FindMessageTypeByName(full_name)
    return message_factory.GetMessageClass(descriptor).FromString(base64.b64decode(encoded))


def main() -> None:
    """Do the job that stands on standard input."""
    job = json.load(sys.stdin)
    described = describe(job["files"])
    echoed = {name: [written(parsed(name, text)) for text in texts] for name, texts in job["messages"].items()}
    pool = descriptor_pool.Default()
    made = {
        name: [written(message) for message in filled(pool.FindMessageTypeByName(name))] for name in job["messages"]
    }
    json.dump({"described": described, "echoed": echoed, "made": made}, sys.stdout)


if __name__ == "__main__":
    main()
