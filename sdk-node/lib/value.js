"use strict";

// What is stored, and what it is in JavaScript.

const { InvalidError } = require("./gen/errors.js");

const BYTES = "application/octet-stream";
const TEXT = "text/plain; charset=utf-8";
const JSON_TYPE = "application/json";

const utf8 = new TextDecoder("utf-8", { fatal: true });

function invalid(reason, message, fields) {
  return new InvalidError(message, { reason, outcome: "rejected", ...fields });
}

/** Bytes and their content type: views and buffers as they are, text as UTF-8, everything else as JSON. */
function encode(value, contentType) {
  if (ArrayBuffer.isView(value)) return { data: value, contentType: contentType ?? BYTES };
  if (value instanceof ArrayBuffer) return { data: new Uint8Array(value), contentType: contentType ?? BYTES };
  if (typeof value === "string") return { data: Buffer.from(value), contentType: contentType ?? TEXT };
  if (value instanceof Map || value instanceof Set) {
    const instead = value instanceof Map ? "Object.fromEntries(map)" : "[...set]";
    throw invalid("value.malformed", `JSON would lose what is in a ${value.constructor.name}: store ${instead}`);
  }
  let text;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw invalid("value.malformed", `the value cannot be written as JSON: ${cause.message}`, { cause });
  }
  if (text === undefined) {
    throw invalid("value.malformed", `a value of type ${typeof value} cannot be written as JSON`);
  }
  return { data: Buffer.from(text), contentType: contentType ?? JSON_TYPE };
}

const KINDS = new Map([
  [BYTES, "bytes"],
  [TEXT, "text"],
  [JSON_TYPE, "json"],
]);

const READABLE = new Set(KINDS.values());

/** What kind of value a content type stands for. Of an unknown one the bytes are all that is known. */
function kindOf(contentType) {
  // Those that `encode` gives need no parsing.
  return KINDS.get(contentType) ?? parsedKind(contentType);
}

function parsedKind(contentType) {
  const [essence, ...parameters] = contentType.toLowerCase().split(";").map((part) => part.trim());
  if (essence === JSON_TYPE || essence.endsWith("+json")) return "json";
  const charset = parameters.find((parameter) => parameter.startsWith("charset="))?.slice(8).replaceAll('"', "");
  const unicode = charset === undefined || ["utf-8", "utf8", "us-ascii"].includes(charset);
  return essence.startsWith("text/") && unicode ? "text" : "bytes";
}

/** The value of an entry, as its content type says, or as `as` does where the content type agrees. */
function decode(value, as, key) {
  const { data, contentType } = value;
  const kind = kindOf(contentType);
  const wanted = as ?? kind;
  if (wanted === "bytes") return data;
  if (!READABLE.has(wanted)) {
    throw invalid("request.invalid", `\`as\` is ${JSON.stringify(as)}, and must be one of "bytes", "text", "json"`);
  }
  if (contentType !== "" && wanted !== kind) {
    const message = `the value of \`${key}\` is \`${contentType}\` and was to be read as ${wanted}`;
    throw invalid("value.content_type_mismatch", message, { metadata: { key, content_type: contentType } });
  }
  try {
    const text = utf8.decode(data);
    return wanted === "json" ? JSON.parse(text) : text;
  } catch (cause) {
    const message = `the value of \`${key}\` is not the ${wanted} that it should be: ${cause.message}`;
    throw invalid("value.malformed", message, { cause, metadata: { key } });
  }
}

module.exports = { decode, encode };
