"""What commands read: arguments, parameters, bundle folders, settings."""
