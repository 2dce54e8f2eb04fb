# frozen_string_literal: true

module Pillion
  VERSION = "0.1.0"
end
