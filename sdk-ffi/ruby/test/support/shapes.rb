# frozen_string_literal: true

# The services that only tests have.
require "pillion/testing"
require_relative "../gen/apis"
