"""What the commands share: options, configuration, input, output, login."""
