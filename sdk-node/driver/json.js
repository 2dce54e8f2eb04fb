"use strict";

// Messages as proto3 JSON and as objects of this package.

const { ENUMS, MESSAGES } = require("./gen/contract.js");
const { InvalidError } = require("../lib/index.js");

const NANOS_PER_MILLI = 1_000_000;

function invalid(message) {
  return new InvalidError(message, { reason: "request.invalid", outcome: "rejected" });
}

/** The object for a message in JSON. */
function fromJson(message, json) {
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw invalid(`${message} is not an object`);
  const object = {};
  for (const [key, value] of Object.entries(json)) {
    const name = key.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
    const field = MESSAGES[message][name];
    if (field === undefined) throw invalid(`${message} has no field ${key}`);
    if (value === null) continue;
    const read = readField(field, value);
    if (field.choice) object[field.choice] = { case: name, value: read };
    else object[name] = read;
  }
  return object;
}

function readField(field, value) {
  if (field.label === "list") return value.map((each) => readValue(field, each));
  if (field.label !== "map") return readValue(field, value);
  const map = {};
  for (const [key, each] of Object.entries(value)) define(map, key, readValue(field, each));
  return map;
}

/** Sets a property, `__proto__` too. */
function define(map, key, value) {
  Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
}

function readValue({ kind, of }, value) {
  switch (kind) {
    case "int":
    case "float":
    case "double":
      return typeof value === "string" ? Number(value) : value;
    case "bigint":
      return BigInt(value);
    case "bytes":
      return Buffer.from(value, "base64");
    case "timestamp":
      return readTimestamp(value);
    case "duration":
      return readDuration(value);
    case "message":
      return fromJson(of, value);
    case "enum":
      return readEnum(of, value);
    default:
      return value;
  }
}

function readEnum(of, value) {
  if (typeof value === "number") return value;
  const known = Object.entries(ENUMS[of]).find(([, full]) => full === value);
  if (known === undefined) throw invalid(`${of} has no value ${value}`);
  return known[0];
}

/** RFC 3339; what is below the millisecond goes into `nanoseconds`, as in what this package gives. */
function readTimestamp(text) {
  const [, digits = ""] = /\.(\d+)/.exec(text) ?? [];
  const date = new Date(text.replace(/\.\d+/, digits && `.${digits.padEnd(3, "0").slice(0, 3)}`));
  const nanoseconds = Number(digits.slice(3).padEnd(6, "0"));
  if (nanoseconds !== 0) Object.defineProperty(date, "nanoseconds", { value: nanoseconds });
  return date;
}

function readDuration(text) {
  const parts = /^(-?)(\d+)(?:\.(\d{1,9}))?s$/.exec(text);
  if (parts === null) throw invalid(`${text} is not a duration`);
  const [, sign, seconds, digits = ""] = parts;
  const millis = Number(seconds) * 1000 + Number(digits.padEnd(9, "0")) / NANOS_PER_MILLI;
  return sign ? -millis : millis;
}

/** The JSON of a message; what has its default is left out. */
function toJson(message, object) {
  const json = {};
  for (const [name, field] of Object.entries(MESSAGES[message])) {
    if (field.choice) {
      const choice = object[field.choice];
      if (choice?.case === name) json[name] = writeValue(field, choice.value);
      continue;
    }
    const value = object[name];
    if (value === undefined || (field.label !== "optional" && isDefault(field, value))) continue;
    json[name] = writeField(field, value);
  }
  return json;
}

function isDefault({ kind, label }, value) {
  if (label === "list") return value.length === 0;
  if (label === "map") return Object.keys(value).length === 0;
  if (kind === "bytes") return value.length === 0;
  return kind === "enum" ? value === "unspecified" : value === "" || value === false || Object.is(value, 0) || value === 0n;
}

function writeField(field, value) {
  if (field.label === "list") return value.map((each) => writeValue(field, each));
  if (field.label !== "map") return writeValue(field, value);
  const map = {};
  for (const [key, each] of Object.entries(value)) define(map, key, writeValue(field, each));
  return map;
}

function writeValue({ kind, of }, value) {
  switch (kind) {
    case "float":
      return Number.isFinite(value) ? shortest(value) : String(value);
    case "double":
      return Number.isFinite(value) ? value : String(value);
    case "bigint":
      return value.toString();
    case "bytes":
      return value.toString("base64");
    case "timestamp":
      return writeTimestamp(value);
    case "duration":
      return writeDuration(value);
    case "message":
      return toJson(of, value);
    case "enum":
      return ENUMS[of][value] ?? value;
    case "error":
      return itemError(value);
    default:
      return value;
  }
}

/** 0, 3, 6 or 9 digits behind the point. */
function fraction(nanos) {
  const digits = String(nanos).padStart(9, "0").replace(/(000){1,3}$/, "");
  return digits && `.${digits}`;
}

function writeTimestamp(date) {
  const whole = date.toISOString().replace(/\.\d+Z$/, "");
  const millis = ((date.getTime() % 1000) + 1000) % 1000;
  return `${whole}${fraction(millis * NANOS_PER_MILLI + (date.nanoseconds ?? 0))}Z`;
}

function writeDuration(millis) {
  const size = Math.abs(millis);
  let seconds = Math.trunc(size / 1000);
  let nanos = Math.round((size - seconds * 1000) * NANOS_PER_MILLI);
  if (nanos === 1000 * NANOS_PER_MILLI) [seconds, nanos] = [seconds + 1, 0];
  return `${millis < 0 ? "-" : ""}${seconds}${fraction(nanos)}s`;
}

/** The shortest number that is the same with 32 bits. */
function shortest(value) {
  for (let digits = 1; ; digits += 1) {
    const rounded = Number(value.toPrecision(digits));
    if (Math.fround(rounded) === Math.fround(value)) return rounded;
  }
}

/** An exception in an answer: there it is a message of the contract. */
function itemError(error) {
  const { category, outcome, ...rest } = describe(error);
  return { ...rest, category: `CATEGORY_${category.toUpperCase()}`, outcome: `OUTCOME_${outcome.toUpperCase()}` };
}

/** An exception, as the protocol wants it. */
function describe(error) {
  const { category, reason, outcome, message, component, retryable, metadata } = error;
  return { category, reason, outcome, message, component, retryable, metadata };
}

module.exports = { describe, fromJson, invalid, toJson };
